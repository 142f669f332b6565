/** The folder of computed steps: what the command line says, what the spec says, or `.rlrf`. */
export function storeRoot(spec: { readonly store?: { readonly path: string | null } }, wanted?: string): string {
  return wanted ?? spec.store?.path ?? ".rlrf";
}
