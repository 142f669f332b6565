/** ajv, and its errors in the words of a spec: where, what was expected, which values are allowed, which one was meant. */
import formats from "ajv-formats";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { RlrfError } from "../errors.js";
import { expectation } from "./expectation.js";
import type { SpecFault } from "./faults.js";
import { child } from "./json.js";
import { didYouMean } from "./nearest.js";
import { ownKeywords } from "./options.js";
import { isObject } from "./origins.js";
import { dotted } from "./pointer.js";
import { relations } from "./relations.js";

export type PlainFault = Omit<SpecFault, "where">;

const strictness = { strict: true, strictTuples: false, strictRequired: false, allowUnionTypes: true } as const;
const compiled = new WeakMap<object, ValidateFunction>();
let ajv: Ajv2020 | undefined;

/** Fills in defaults; faults come back with pointers below `pointer`. @param owner of the schema, as messages call it @throws RLRF_PLUGIN_SCHEMA */
export function validate(schema: object, value: unknown, owner: string, pointer = ""): readonly PlainFault[] {
  const check = compileSchema(schema, owner);
  if (check(value)) return [];
  return onePerPlace((check.errors ?? []).map((error) => faultOf(error, pointer, owner)).filter((fault) => fault !== undefined));
}

/** A fault in one line, for readers of a single value, who know no lines of a file. */
export function faultLine({ pointer, message }: Pick<PlainFault, "pointer" | "message">): string {
  return pointer === "" ? message : `${pointer}: ${message}`;
}

/** @param owner whose options they are. @throws RLRF_PLUGIN_SCHEMA */
export function compileSchema(schema: object, owner: string): ValidateFunction {
  const check = compiled.get(schema) ?? compile(schema, owner);
  compiled.set(schema, check);
  return check;
}

function compile(schema: object, owner: string): ValidateFunction {
  try {
    if (ajv === undefined) {
      // Strict mode finds what is wrong in a schema; compiling the meta-schema to say so once more takes 100 ms. Each validator runs a few
      // times: making its code shorter takes longer than running it.
      ajv = new Ajv2020({
        ...strictness,
        meta: false,
        validateSchema: false,
        allErrors: true,
        verbose: true,
        useDefaults: true,
        code: { optimize: false },
      });
      ajv.addVocabulary([...ownKeywords]);
      for (const relation of relations) ajv.addKeyword(relation);
      formats.default(ajv);
    }
    return ajv.compile(schema);
  } catch (cause) {
    const message = `the options schema of ${owner} is not valid: ${(cause as Error).message}`;
    throw new RlrfError("RLRF_PLUGIN_SCHEMA", { message, hint: "mend the schema in the plugin's decorator" }, { cause });
  }
}

/** An `anyOf` reports each branch and itself: the first fault of a place says enough. */
function onePerPlace(faults: readonly PlainFault[]): readonly PlainFault[] {
  const byPlace = new Map<string, PlainFault>();
  for (const fault of faults) if (!byPlace.has(fault.pointer)) byPlace.set(fault.pointer, fault);
  return [...byPlace.values()];
}

function faultOf(error: ErrorObject, base: string, owner: string): PlainFault | undefined {
  const pointer = base + error.instancePath;
  const schema = isObject(error.parentSchema) ? error.parentSchema : {};
  if (schema.secret === true) return secretFault(pointer, owner);
  const got = `${name(pointer, owner)} is ${shown(error.data)}`;
  switch (error.keyword) {
    case "additionalProperties":
      return unknownKey(String(error.params.additionalProperty), pointer, schema, owner);
    case "required":
      return missing(String(error.params.missingProperty), pointer, schema);
    case "type": {
      const named = typeof error.data === "string" && isObject(schema.properties) && "plugin" in schema.properties;
      const hint = named ? { hint: `did you mean {"plugin": ${JSON.stringify(error.data)}}?` } : {};
      return { code: "RLRF_SPEC_TYPE", pointer, message: got, expected: expectation(schema), ...hint };
    }
    case "if":
      return undefined; // its branches say what is wrong
    default: {
      const meant =
        typeof error.data === "string" && Array.isArray(schema.enum) ? didYouMean(error.data, schema.enum.map(String)) : undefined;
      const repeated = error.keyword === "uniqueItems" ? ": an entry stands twice" : "";
      return {
        code: "RLRF_SPEC_VALUE",
        pointer,
        message: got + repeated,
        expected: expectation(schema),
        ...(meant === undefined ? {} : { hint: meant }),
      };
    }
  }
}

/** Never shows the value. */
function secretFault(pointer: string, owner: string): PlainFault {
  const hint = "put the secret into an environment variable, and that variable's name into the spec";
  return {
    code: "RLRF_SPEC_SECRET",
    pointer,
    message: `${name(pointer, owner)} is a secret, which may not stand in a spec`,
    expected: '{"env": "NAME"}',
    hint,
  };
}

function unknownKey(key: string, pointer: string, schema: { [key: string]: unknown }, owner: string): PlainFault {
  const keys = isObject(schema.properties) ? Object.keys(schema.properties) : [];
  const meant = didYouMean(key, keys);
  return {
    code: "RLRF_SPEC_UNKNOWN_KEY",
    pointer: child(pointer, key),
    message: `${name(pointer, owner)} has no key ${JSON.stringify(key)}`,
    expected: keys.length === 0 ? "no keys" : `one of: ${keys.join(", ")}`,
    ...(meant === undefined ? {} : { hint: meant }),
  };
}

function missing(key: string, pointer: string, schema: { [key: string]: unknown }): PlainFault {
  const property = isObject(schema.properties) ? schema.properties[key] : undefined;
  return {
    code: "RLRF_SPEC_MISSING",
    pointer: child(pointer, key),
    message: `"${key}" is missing`,
    expected: expectation(isObject(property) ? property : {}),
  };
}

function name(pointer: string, owner: string): string {
  return pointer === "" ? owner : dotted(pointer);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
