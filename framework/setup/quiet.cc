// TensorFlow's library prints start-up lines from static constructors, before any setting of its log level is read.
// Two functions for the moment of loading it: mute() sends file descriptor 2 to nowhere, unmute(fd) brings it back.
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>

static napi_value Mute(napi_env env, napi_callback_info) {
  int saved = dup(2);
  int nowhere = open("/dev/null", O_WRONLY);
  if (saved >= 0 && nowhere >= 0) dup2(nowhere, 2);
  if (nowhere >= 0) close(nowhere);
  napi_value result;
  napi_create_int32(env, saved, &result);
  return result;
}

static napi_value Unmute(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int32_t saved = -1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  if (count == 1) napi_get_value_int32(env, argument, &saved);
  if (saved >= 0) {
    dup2(saved, 2);
    close(saved);
  }
  return nullptr;
}

NAPI_MODULE_INIT() {
  napi_value mute, unmute;
  napi_create_function(env, "mute", NAPI_AUTO_LENGTH, Mute, nullptr, &mute);
  napi_create_function(env, "unmute", NAPI_AUTO_LENGTH, Unmute, nullptr, &unmute);
  napi_set_named_property(env, exports, "mute", mute);
  napi_set_named_property(env, exports, "unmute", unmute);
  return exports;
}
