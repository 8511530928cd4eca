/** The numbers of SSH's messages (RFC 4250, section 4.1) and of the reasons that go with some. */

export const MESSAGE = {
  disconnect: 1,
  unimplemented: 3,
  debug: 4,
  serviceRequest: 5,
  serviceAccept: 6,
  extInfo: 7,
  kexInit: 20,
  newKeys: 21,
  kexEcdhInit: 30,
  kexEcdhReply: 31,
  authRequest: 50,
  authFailure: 51,
  authSuccess: 52,
  authBanner: 53,
  authPublicKeyOk: 60,
  authInfoRequest: 60,
  authInfoResponse: 61,
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const;

/** RFC 4250, section 4.2.2. */
export const DISCONNECT = {
  protocolError: 2,
  keyExchangeFailed: 3,
  serviceNotAvailable: 7,
  hostKeyNotVerifiable: 9,
  byApplication: 11,
  noMoreAuthMethods: 14,
} as const;

/** RFC 4250, section 4.3. */
export const OPEN_FAILURE = {
  prohibited: 1,
  connectFailed: 2,
  unknownType: 3,
  shortage: 4,
} as const;
export type OpenFailure = (typeof OPEN_FAILURE)[keyof typeof OPEN_FAILURE];

/** The only kind of extended data there is (RFC 4254, section 5.2). */
export const EXTENDED_STDERR = 1;
