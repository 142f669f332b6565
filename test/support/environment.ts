/** Environment variables for the tests of the enclosing `describe`, put back after each. */
export function useEnvironment(values: () => Readonly<Record<string, string>>): void {
  let putBack: () => void;
  beforeEach(() => {
    putBack = setEnvironment(values());
  });
  afterEach(() => putBack());
}

/** @returns what puts them back */
export function setEnvironment(values: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
