import assert from "node:assert/strict";
import { createRng } from "../../../framework/rng.js";
import { zeros } from "../../../framework/tensor/nn/initialisers.js";
import { Parameters } from "../../../framework/tensor/parameters.js";

describe("parameters", () => {
  it("that no array can hold are named, with what to do", () => {
    const scope = new Parameters(createRng(1)).scope("output");
    assert.throws(() => scope.create("kernel", [1e8, 1e8], zeros), {
      code: "RLRF_ENGINE_MEMORY",
      message: /output\/kernel of 100000000 x 100000000 numbers[\s\S]*lower the widths/,
    });
  });
});
