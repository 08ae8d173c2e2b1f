{
  "targets": [
    {
      "target_name": "tunnel",
      "sources": ["addon.c", "sockets.c", "tunnel.c"],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE"],
      "cflags": ["-std=c11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-pthread"],
      "ldflags": ["-pthread"],
    }
  ]
}
