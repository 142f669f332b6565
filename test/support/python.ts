/** Python environments for oracles and readers (MLflow's client, reference implementations). */
export { pythonEnvironment } from "../../framework/setup/python.js";
