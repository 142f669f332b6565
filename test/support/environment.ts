/** Environment variables for the tests of the enclosing `describe`, put back after each. */
export function useEnvironment(values: () => Readonly<Record<string, string>>): void {
  let before: Record<string, string | undefined> = {};
  beforeEach(() => {
    const wanted = values();
    before = Object.fromEntries(Object.keys(wanted).map((name) => [name, process.env[name]]));
    Object.assign(process.env, wanted);
  });
  afterEach(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
}
