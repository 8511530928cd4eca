/** What the parser packages hold beside their own index: the wasm file, and the glue that runs it. */
declare module "libpg-query-*/wasm/libpg-query.wasm" {
  /** The file's path; inside the compiled binary, a path of its virtual file system. */
  const path: string;
  export default path;
}

declare module "*/wasm/libpg-query.js" {
  const factory: import("./parser-instance.ts").GlueFactory;
  export default factory;
}
