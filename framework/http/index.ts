/** HTTP as the framework's own clients and plugins of servers speak it. */
export { type HttpRequest, type HttpResponse, request } from "./request.js";
export { type Backoff, backoff, failureText, pause, retryAfter, saidIn } from "./retry.js";
