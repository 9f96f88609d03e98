// The formats of message routes: the first segment of /json/reply/X.

/** Media types of the formats that ServiceStack hosts know: built in, default plugins, and the MsgPack and ProtoBuf packages (MimeTypes.cs). */
export const mediaTypes: ReadonlyMap<string, string> = new Map([
  ['json', 'application/json'], ['xml', 'application/xml'], ['jsv', 'application/jsv'], ['csv', 'text/csv'], ['html', 'text/html'], ['jsonl', 'text/jsonl'],
  ['x-msgpack', 'application/x-msgpack'], ['x-protobuf', 'application/x-protobuf'], ['msgpack', 'application/x-msgpack'], ['protobuf', 'application/x-protobuf']
])

export const formats: ReadonlySet<string> = new Set(mediaTypes.keys())
