/** What is large is unpacked when it is first looked at: base64 of gzip of JSON, in script elements of no language. */

const asked = new Map<number, Promise<unknown>>();

export function chunk<Value>(number: number): Promise<Value> {
  const known = asked.get(number) ?? unpack(number);
  asked.set(number, known);
  return known as Promise<Value>;
}

async function unpack(number: number): Promise<unknown> {
  const text = document.getElementById(`chunk-${number}`)?.textContent ?? "";
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).json();
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** @param text base64 of little-endian float32 */
export function floats(text: string): Float32Array {
  return new Float32Array(bytesOf(text).buffer);
}
