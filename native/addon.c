/* The addon: the sockets of a worker (sockets.c) and the relay of its tunnels (tunnel.c). */
#include "addon.h"

#include <stdlib.h>

napi_value throw_error(napi_env env, const char *what) {
  napi_throw_error(env, NULL, what);
  return NULL;
}

/* Last of all, when nobody can be told anything any more. */
static void free_addon(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  struct addon *addon = data;
  free_relay(addon->relay);
  free(addon);
}

NAPI_MODULE_INIT() {
  struct addon *addon = calloc(1, sizeof *addon);
  if (addon == NULL) return throw_error(env, "there is no memory for the addon");
  napi_set_instance_data(env, addon, free_addon, NULL);
  define_sockets(env, exports);
  define_tunnel(env, exports);
  return exports;
}
