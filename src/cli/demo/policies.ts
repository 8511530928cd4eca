/** The example policies of the folder `policies`, which were written for the demo's shop, as texts inside the program. */
import CATALOG_SHOP_PROD from "../../../policies/catalog/shop-prod.json" with { type: "text" };
import CATALOG_SHOP_WEB from "../../../policies/catalog/shop-web.json" with { type: "text" };
import CATALOG_SHOP from "../../../policies/catalog/shop.json" with { type: "text" };
import GUARDS_AGENTS from "../../../policies/guards/agents.yaml" with { type: "text" };
import GUARDS_EVERYBODY from "../../../policies/guards/everybody.yaml" with { type: "text" };
import GUARDS_WEB from "../../../policies/guards/web.yaml" with { type: "text" };
import PERMITS_AGENTS from "../../../policies/permits/agents.yaml" with { type: "text" };
import PERMITS_DBA from "../../../policies/permits/dba.yaml" with { type: "text" };
import PERMITS_SUPPORT from "../../../policies/permits/support.yaml" with { type: "text" };
import PERMITS_WEB from "../../../policies/permits/web.yaml" with { type: "text" };
import POLICY from "../../../policies/policy.yaml" with { type: "text" };
import TESTS_SHOP from "../../../policies/tests/shop.yaml" with { type: "text" };
import TESTS_WEB from "../../../policies/tests/web.yaml" with { type: "text" };
import VOCABULARY from "../../../policies/vocabulary.yaml" with { type: "text" };

/** By path within a policy folder. */
export const EXAMPLE_POLICIES: Readonly<Record<string, string>> = {
  "policy.yaml": text(POLICY),
  "vocabulary.yaml": text(VOCABULARY),
  "permits/agents.yaml": text(PERMITS_AGENTS),
  "permits/dba.yaml": text(PERMITS_DBA),
  "permits/support.yaml": text(PERMITS_SUPPORT),
  "permits/web.yaml": text(PERMITS_WEB),
  "guards/agents.yaml": text(GUARDS_AGENTS),
  "guards/everybody.yaml": text(GUARDS_EVERYBODY),
  "guards/web.yaml": text(GUARDS_WEB),
  "tests/shop.yaml": text(TESTS_SHOP),
  "tests/web.yaml": text(TESTS_WEB),
  "catalog/shop-prod.json": text(CATALOG_SHOP_PROD),
  "catalog/shop.json": text(CATALOG_SHOP),
  "catalog/shop-web.json": text(CATALOG_SHOP_WEB),
};

/** The compiler takes every YAML import for a parsed one. */
function text(contents: unknown): string {
  if (typeof contents !== "string") throw new Error("a policy file was not put in as text");
  return contents;
}
