// The formats of message routes: the first segment of /json/reply/X.

/** Formats that ServiceStack hosts know: built in, default plugins, and the MsgPack and ProtoBuf packages. */
export const formats: ReadonlySet<string> = new Set(['json', 'xml', 'jsv', 'csv', 'html', 'jsonl', 'x-msgpack', 'x-protobuf', 'msgpack', 'protobuf'])
