/* What the parts of the addon share. One of each for each environment of Node: for a worker process. */
#ifndef SEKISHO_ADDON_H
#define SEKISHO_ADDON_H

#include <node_api.h>

struct relay;
struct sockets;

struct addon {
  struct relay *relay;
  struct sockets *sockets;
};

/* Adds their functions to what JavaScript requires. */
void define_tunnel(napi_env env, napi_value exports);
void define_sockets(napi_env env, napi_value exports);

void free_relay(struct relay *relay);

/* @returns NULL, with an exception pending */
napi_value throw_error(napi_env env, const char *what);

#endif
