/*
 * TCP for JavaScript without a stream for each connection: what all connections have to say in one turn of the event loop is
 * told in one call.
 *
 *     libuv's loop --(epoll is readable)--> turn:  accept, connect, receive, send what waited
 *                                                  -> events, arena           (memory that JavaScript gave)
 *                                                  -> onTurn(count, used)      one call
 *     JavaScript   --listen, connect, resume, pause, write, finish, close, detach--> at once, in the same thread
 *
 * Invariants
 *
 *  1. Threads. All of it runs in the thread of its environment; nothing is shared and nothing locked.
 *  2. Descriptors. A socket has one, which is closed once: by close_socket(), unless js_detach() has given it away.
 *  3. Names. JavaScript knows sockets by number. A number is free for another socket only once the turn that may still speak of
 *     the old one was told: until then it is in `closed`.
 *  4. Lifetime. `gather` ends nothing: only calls of JavaScript do. A socket that is in the list of the ready stays in memory
 *     until it is taken out there. Events name a socket by number and generation: epoll may tell of a descriptor that is closed
 *     here as long as a copy of it is open elsewhere, in a process that is about to be started above all.
 *  5. Readiness. Connections are registered once and edge-triggered. `readable` is false only after the kernel said EAGAIN, or
 *     after a read that emptied the socket, so that an event follows; what is left before that is in the list of the ready.
 *  6. Room. A connection is read twice a turn at most, as one left ready and by its event, and only while the arena has room for a whole read; the events have room
 *     for all that one turn can tell. Listeners are level-triggered: what is not accepted now is told of again.
 *  7. Bytes that could not be sent are held in order, and sent before all others. JavaScript is told when none are left; how many
 *     it lets come together is its to decide.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  READ_SIZE = 64 * 1024,
  /* Sockets that one turn looks at: as many that were left ready as epoll tells of. */
  MOST_EVENTS = 256,
  /* Connections that one listener accepts in a turn. */
  MOST_ACCEPTED = 64,
  /* Numbers that an event takes. */
  EVENT_WORDS = 4,
  /* What one look at a socket can have to tell at most: connected, drained, finished, data, end. */
  MOST_TOLD = 5,
  /* Beside those accepted. */
  EVENT_ROOM = 2 * MOST_EVENTS * MOST_TOLD,
  /* Bytes of the address of one accepted peer: family, port and address in network order. */
  ADDRESS_SIZE = 20,
  LEAST_HELD = 4096,
};

/* What an event tells. JavaScript has the same list. */
enum told { ACCEPTED, NOT_ACCEPTED, CONNECTED, DATA, END, DRAINED, FINISHED, FAILED };

struct tcp_socket {
  int32_t id;
  /* Tells it from those that had its number before. */
  uint32_t generation;
  int fd;
  bool listens, connecting;
  /* JavaScript wants what it receives. */
  bool flowing;
  bool readable, writable, hung_up;
  /* FIN: received; to be said once nothing is held; said. */
  bool ended, finishing, finished;
  bool closed, is_ready;
  /* Something is to be waited for: it keeps the loop alive. */
  bool holds_loop;
  /* errno of what broke it, and whether that was told. */
  int error;
  bool error_told;
  /* Of uv_now(): when bytes last moved. */
  uint64_t moved_at;
  char *held;
  size_t held_at, held_end, held_size;
  struct tcp_socket *next_ready;
};

struct numbers {
  int32_t *values;
  size_t count, size;
};

struct sockets {
  napi_env env;
  napi_ref on_turn, events_ref, addresses_ref, arena_ref;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  uv_poll_t poll;
  uv_idle_t idle;
  int handles;
  int epoll;
  /* Given up for a moment where no descriptor is left, so that a peer is turned away instead of waiting for ever. */
  int reserve;

  struct tcp_socket **by_id;
  size_t room;
  struct numbers unused, closed;
  uint32_t last_generation;
  bool telling;
  size_t holders;

  struct tcp_socket *ready, **last_ready;

  int32_t *events;
  size_t event_count;
  uint8_t *addresses;
  size_t accepted, address_room;
  char *arena;
  size_t arena_size, arena_used;
};

/* ---- numbers and lists ---- */

static bool push(struct numbers *numbers, int32_t value) {
  if (numbers->count == numbers->size) {
    size_t size = numbers->size == 0 ? 64 : numbers->size * 2;
    int32_t *values = realloc(numbers->values, size * sizeof *values);
    if (values == NULL) return false;
    numbers->values = values;
    numbers->size = size;
  }
  numbers->values[numbers->count++] = value;
  return true;
}

static void make_ready(struct sockets *sockets, struct tcp_socket *tcp) {
  if (tcp->is_ready) return;
  tcp->is_ready = true;
  tcp->next_ready = NULL;
  *sockets->last_ready = tcp;
  sockets->last_ready = &tcp->next_ready;
}

static struct tcp_socket *take_ready(struct sockets *sockets) {
  struct tcp_socket *tcp = sockets->ready;
  sockets->ready = tcp->next_ready;
  if (sockets->ready == NULL) sockets->last_ready = &sockets->ready;
  tcp->is_ready = false;
  return tcp;
}

/* @returns a number that nobody has, or -1 */
static int32_t new_id(struct sockets *sockets) {
  if (sockets->unused.count > 0) return sockets->unused.values[--sockets->unused.count];
  size_t room = sockets->room == 0 ? 256 : sockets->room * 2;
  struct tcp_socket **by_id = realloc(sockets->by_id, room * sizeof *by_id);
  if (by_id == NULL) return -1;
  sockets->by_id = by_id;
  size_t first = sockets->room;
  memset(by_id + first, 0, (room - first) * sizeof *by_id);
  sockets->room = room;
  for (size_t id = room; id-- > first + 1;)
    if (!push(&sockets->unused, (int32_t)id)) break;
  return (int32_t)first;
}

/* ---- a socket's beginning and end ---- */

/* Whether the loop lives for a socket, as for those of Node: one that nobody reads or writes to is not waited for. */
static void mind_loop(struct sockets *sockets, struct tcp_socket *tcp) {
  bool reads = tcp->flowing && !tcp->ended;
  bool holds = !tcp->closed && (tcp->listens || tcp->connecting || reads || tcp->held != NULL);
  if (holds == tcp->holds_loop) return;
  tcp->holds_loop = holds;
  if (holds && sockets->holders++ == 0) uv_ref((uv_handle_t *)&sockets->poll);
  if (!holds && --sockets->holders == 0) uv_unref((uv_handle_t *)&sockets->poll);
}

/* Takes `fd`, which is closed where there is no room. @returns NULL then, with errno set */
static struct tcp_socket *add_socket(struct sockets *sockets, int fd, bool listens) {
  struct tcp_socket *tcp = calloc(1, sizeof *tcp);
  int32_t id = tcp == NULL ? -1 : new_id(sockets);
  uint32_t generation = ++sockets->last_generation;
  struct epoll_event event = {
      .events = listens ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
      .data.u64 = (uint64_t)generation << 32 | (uint32_t)id,
  };
  if (id < 0 || epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    int error = id < 0 ? ENOMEM : errno;
    if (id >= 0) (void)push(&sockets->unused, id);
    free(tcp);
    close(fd);
    errno = error;
    return NULL;
  }
  tcp->id = id;
  tcp->generation = generation;
  tcp->fd = fd;
  tcp->listens = listens;
  tcp->moved_at = uv_now(sockets->poll.loop);
  sockets->by_id[id] = tcp;
  mind_loop(sockets, tcp);
  return tcp;
}

/* Forgets a socket. @returns its descriptor, which is the caller's now */
static int release_socket(struct sockets *sockets, struct tcp_socket *tcp) {
  int fd = tcp->fd;
  sockets->by_id[tcp->id] = NULL;
  /* Without memory to note it down the number is lost, and no more than that. */
  (void)push(sockets->telling ? &sockets->closed : &sockets->unused, tcp->id);
  free(tcp->held);
  tcp->held = NULL;
  tcp->fd = -1;
  tcp->closed = true;
  mind_loop(sockets, tcp);
  if (!tcp->is_ready) free(tcp);
  return fd;
}

static void close_socket(struct sockets *sockets, struct tcp_socket *tcp) {
  /* Of a listener others have copies, so that epoll would not forget it by itself. */
  if (tcp->listens) (void)epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, tcp->fd, NULL);
  close(release_socket(sockets, tcp));
}

/* ---- telling ---- */

static void tell(struct sockets *sockets, enum told told, const struct tcp_socket *tcp, int32_t a, int32_t b) {
  int32_t *event = sockets->events + sockets->event_count++ * EVENT_WORDS;
  event[0] = told;
  event[1] = tcp->id;
  event[2] = a;
  event[3] = b;
}

static void fail(struct sockets *sockets, struct tcp_socket *tcp, int error) {
  if (tcp->error != 0) return;
  tcp->error = error;
  tcp->error_told = true;
  tell(sockets, FAILED, tcp, error, 0);
}

/* ---- moving bytes ---- */

/* Says FIN. @returns 0 or errno */
static int say_fin(struct tcp_socket *tcp) {
  if (shutdown(tcp->fd, SHUT_WR) < 0) return errno;
  tcp->finished = true;
  return 0;
}

/* @returns 0, or errno of a connection that broke. Sends what it can. */
static int send_some(struct sockets *sockets, struct tcp_socket *tcp, const char *bytes, size_t size, size_t *sent) {
  *sent = 0;
  while (*sent < size) {
    ssize_t count = send(tcp->fd, bytes + *sent, size - *sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      tcp->writable = false;
      return 0;
    }
    if (count < 0) return errno;
    tcp->moved_at = uv_now(sockets->poll.loop);
    *sent += (size_t)count;
  }
  return 0;
}

static void send_held(struct sockets *sockets, struct tcp_socket *tcp) {
  if (tcp->held == NULL || tcp->error != 0) return;
  size_t sent;
  int error = send_some(sockets, tcp, tcp->held + tcp->held_at, tcp->held_end - tcp->held_at, &sent);
  tcp->held_at += sent;
  if (error == 0 && tcp->held_at < tcp->held_end) return;
  if (error == 0) {
    free(tcp->held);
    tcp->held = NULL;
    tell(sockets, DRAINED, tcp, 0, 0);
    if (!tcp->finishing) return;
    error = say_fin(tcp);
    if (error == 0) tell(sockets, FINISHED, tcp, 0, 0);
  }
  if (error != 0) fail(sockets, tcp, error);
}

/* Keeps what could not be sent. @returns whether there was memory */
static bool hold(struct tcp_socket *tcp, const char *bytes, size_t size) {
  if (tcp->held == NULL) tcp->held_at = tcp->held_end = tcp->held_size = 0;
  if (tcp->held_at > 0) {
    memmove(tcp->held, tcp->held + tcp->held_at, tcp->held_end - tcp->held_at);
    tcp->held_end -= tcp->held_at;
    tcp->held_at = 0;
  }
  if (tcp->held_end + size > tcp->held_size) {
    size_t room = tcp->held_size == 0 ? LEAST_HELD : tcp->held_size;
    while (room < tcp->held_end + size) room *= 2;
    char *held = realloc(tcp->held, room);
    if (held == NULL) return false;
    tcp->held = held;
    tcp->held_size = room;
  }
  memcpy(tcp->held + tcp->held_end, bytes, size);
  tcp->held_end += size;
  return true;
}

static void receive(struct sockets *sockets, struct tcp_socket *tcp) {
  while (tcp->flowing && tcp->readable && !tcp->ended && tcp->error == 0) {
    if (sockets->arena_size - sockets->arena_used < READ_SIZE) {
      make_ready(sockets, tcp);
      return;
    }
    ssize_t size = recv(tcp->fd, sockets->arena + sockets->arena_used, READ_SIZE, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) tcp->readable = false;
    else if (size < 0) fail(sockets, tcp, errno);
    else if (size == 0) {
      tcp->ended = true;
      tell(sockets, END, tcp, 0, 0);
    } else {
      tcp->moved_at = uv_now(sockets->poll.loop);
      tell(sockets, DATA, tcp, (int32_t)sockets->arena_used, (int32_t)size);
      sockets->arena_used += (size_t)size;
      if (size < READ_SIZE && !tcp->hung_up) tcp->readable = false;
      else if (size == READ_SIZE) {
        make_ready(sockets, tcp);
        return;
      }
    }
  }
}

/* ---- accepting ---- */

static void write_address(const struct sockaddr_storage *from, uint8_t *to) {
  memset(to, 0, ADDRESS_SIZE);
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *ip = (const struct sockaddr_in *)from;
    to[0] = 4;
    memcpy(to + 2, &ip->sin_port, 2);
    memcpy(to + 4, &ip->sin_addr, 4);
  } else if (from->ss_family == AF_INET6) {
    const struct sockaddr_in6 *ip = (const struct sockaddr_in6 *)from;
    to[0] = 6;
    memcpy(to + 2, &ip->sin6_port, 2);
    memcpy(to + 4, &ip->sin6_addr, 16);
  }
}

/* No descriptor is left: whoever waits is turned away, or the loop would be told of it for ever. */
static void turn_away(struct sockets *sockets, struct tcp_socket *listener) {
  if (sockets->reserve >= 0) close(sockets->reserve);
  int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0) close(fd);
  sockets->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_some(struct sockets *sockets, struct tcp_socket *listener) {
  for (int i = 0; i < MOST_ACCEPTED && sockets->accepted < sockets->address_room; i++) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    int error = fd < 0 ? errno : 0;
    struct tcp_socket *tcp = fd < 0 ? NULL : add_socket(sockets, fd, false);
    if (tcp == NULL) {
      if (fd >= 0) error = errno;
      else if (error == EMFILE || error == ENFILE) turn_away(sockets, listener);
      tell(sockets, NOT_ACCEPTED, listener, error, 0);
      return;
    }
    write_address(&from, sockets->addresses + sockets->accepted * ADDRESS_SIZE);
    tell(sockets, ACCEPTED, listener, tcp->id, (int32_t)sockets->accepted++);
  }
}

/* ---- the turn ---- */

/* @returns whether the connection stands */
static bool connected(struct sockets *sockets, struct tcp_socket *tcp, uint32_t events) {
  if (!tcp->connecting) return true;
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return false;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(tcp->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  tcp->connecting = false;
  if (error == 0) tell(sockets, CONNECTED, tcp, 0, 0);
  else fail(sockets, tcp, error);
  return error == 0;
}

static void on_event(struct sockets *sockets, struct tcp_socket *tcp, uint32_t events) {
  if (tcp->listens) {
    accept_some(sockets, tcp);
    return;
  }
  if (!connected(sockets, tcp, events)) return;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) tcp->hung_up = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) tcp->readable = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) tcp->writable = true;
  send_held(sockets, tcp);
  receive(sockets, tcp);
  mind_loop(sockets, tcp);
}

/* One that was left ready: it has more to read, was resumed, or broke as JavaScript wrote to it. */
static void look_again(struct sockets *sockets, struct tcp_socket *tcp) {
  if (tcp->closed) {
    free(tcp);
    return;
  }
  if (tcp->error != 0 && !tcp->error_told) {
    tcp->error_told = true;
    tell(sockets, FAILED, tcp, tcp->error, 0);
  }
  receive(sockets, tcp);
  mind_loop(sockets, tcp);
}

static void gather(struct sockets *sockets) {
  sockets->event_count = sockets->accepted = 0;
  struct tcp_socket **end = sockets->last_ready;
  for (int i = 0; i < MOST_EVENTS && sockets->ready != NULL; i++) {
    bool is_last = end == &sockets->ready->next_ready;
    look_again(sockets, take_ready(sockets));
    if (is_last) break;
  }
  struct epoll_event events[MOST_EVENTS];
  int count = epoll_wait(sockets->epoll, events, MOST_EVENTS, 0);
  for (int i = 0; i < count; i++) {
    struct tcp_socket *tcp = sockets->by_id[(uint32_t)events[i].data.u64];
    if (tcp != NULL && tcp->generation == events[i].data.u64 >> 32) on_event(sockets, tcp, events[i].events);
  }
}

static void reuse_closed(struct sockets *sockets) {
  while (sockets->closed.count > 0) (void)push(&sockets->unused, sockets->closed.values[--sockets->closed.count]);
}

/* Tells JavaScript, which also runs what it had put off for the end of the call. */
static void tell_turn(struct sockets *sockets) {
  napi_env env = sockets->env;
  napi_value on_turn, receiver, arguments[2];
  napi_get_reference_value(env, sockets->on_turn, &on_turn);
  napi_get_global(env, &receiver);
  napi_create_uint32(env, (uint32_t)sockets->event_count, &arguments[0]);
  napi_create_uint32(env, (uint32_t)sockets->arena_used, &arguments[1]);
  sockets->telling = true;
  napi_status status = napi_make_callback(env, sockets->context, receiver, on_turn, 2, arguments, NULL);
  sockets->telling = false;
  reuse_closed(sockets);
  bool is_pending = false;
  if (status == napi_ok || napi_is_exception_pending(env, &is_pending) != napi_ok || !is_pending) return;
  napi_value error;
  napi_get_and_clear_last_exception(env, &error);
  napi_fatal_exception(env, error);
}

static void on_idle(uv_idle_t *idle);

/* The loop must not wait while sockets are ready. */
static void mind_ready(struct sockets *sockets) {
  if (sockets->ready == NULL) uv_idle_stop(&sockets->idle);
  else uv_idle_start(&sockets->idle, on_idle);
}

static void turn(struct sockets *sockets) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(sockets->env, &scope) != napi_ok) return;
  gather(sockets);
  if (sockets->event_count > 0) tell_turn(sockets);
  mind_ready(sockets);
  napi_close_handle_scope(sockets->env, scope);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  turn(poll->data);
}

static void on_idle(uv_idle_t *idle) { turn(idle->data); }

/* ---- the environment ---- */

static void free_sockets(struct sockets *sockets) {
  for (size_t id = 0; id < sockets->room; id++)
    if (sockets->by_id[id] != NULL) {
      close(sockets->by_id[id]->fd);
      free(sockets->by_id[id]->held);
      if (!sockets->by_id[id]->is_ready) free(sockets->by_id[id]);
    }
  while (sockets->ready != NULL) free(take_ready(sockets));
  if (sockets->epoll >= 0) close(sockets->epoll);
  if (sockets->reserve >= 0) close(sockets->reserve);
  free(sockets->by_id);
  free(sockets->unused.values);
  free(sockets->closed.values);
  free(sockets);
}

static void on_handle_closed(uv_handle_t *handle) {
  struct sockets *sockets = handle->data;
  if (--sockets->handles > 0) return;
  napi_async_cleanup_hook_handle cleanup = sockets->cleanup;
  free_sockets(sockets);
  napi_remove_async_cleanup_hook(cleanup);
}

static void stop(napi_async_cleanup_hook_handle cleanup, void *data) {
  (void)cleanup;
  struct sockets *sockets = data;
  uv_close((uv_handle_t *)&sockets->poll, on_handle_closed);
  uv_close((uv_handle_t *)&sockets->idle, on_handle_closed);
}

static struct sockets *sockets_of(napi_env env) {
  struct addon *addon = NULL;
  napi_get_instance_data(env, (void **)&addon);
  return addon == NULL ? NULL : addon->sockets;
}

static bool start_polling(struct sockets *sockets) {
  uv_loop_t *loop = NULL;
  if (sockets->epoll < 0 || napi_get_uv_event_loop(sockets->env, &loop) != napi_ok) return false;
  if (uv_poll_init(loop, &sockets->poll, sockets->epoll) != 0) return false;
  uv_idle_init(loop, &sockets->idle);
  sockets->handles = 2;
  sockets->poll.data = sockets->idle.data = sockets;
  uv_poll_start(&sockets->poll, UV_READABLE, on_poll);
  uv_unref((uv_handle_t *)&sockets->poll);
  uv_unref((uv_handle_t *)&sockets->idle);
  return true;
}

static void *memory_of(napi_env env, napi_value array, size_t *size, napi_ref *reference) {
  void *memory = NULL;
  napi_get_typedarray_info(env, array, NULL, size, &memory, NULL, NULL);
  napi_create_reference(env, array, 1, reference);
  return memory;
}

/* open(onTurn, events, addresses): once for each environment. Events need room for 2560 more than there are addresses. */
static napi_value js_open(napi_env env, napi_callback_info info) {
  size_t count = 3, words, bytes;
  napi_value arguments[3], name;
  struct addon *addon = NULL;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_get_instance_data(env, (void **)&addon);
  if (addon == NULL || addon->sockets != NULL || count < 3) return throw_error(env, "the sockets are open already");
  struct sockets *sockets = calloc(1, sizeof *sockets);
  if (sockets == NULL) return throw_error(env, "there is no memory for sockets");
  sockets->env = env;
  sockets->last_ready = &sockets->ready;
  sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
  sockets->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (!start_polling(sockets)) {
    free_sockets(sockets);
    return throw_error(env, "the sockets cannot be watched");
  }
  napi_create_reference(env, arguments[0], 1, &sockets->on_turn);
  sockets->events = memory_of(env, arguments[1], &words, &sockets->events_ref);
  sockets->addresses = memory_of(env, arguments[2], &bytes, &sockets->addresses_ref);
  sockets->address_room = bytes / ADDRESS_SIZE;
  napi_create_string_utf8(env, "sekisho sockets", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &sockets->context);
  napi_add_async_cleanup_hook(env, stop, sockets, &sockets->cleanup);
  addon->sockets = sockets;
  if (words < (EVENT_ROOM + sockets->address_room) * EVENT_WORDS) return throw_error(env, "there is too little room for events");
  return NULL;
}

/* ---- what JavaScript asks for ---- */

struct call {
  struct sockets *sockets;
  struct tcp_socket *tcp;
  napi_value arguments[4];
  size_t count;
};

/* Reads a call whose first argument is a socket's number. @returns false where there is no such socket */
static bool read_call(napi_env env, napi_callback_info info, struct call *call) {
  int32_t id = -1;
  call->count = 4;
  napi_get_cb_info(env, info, &call->count, call->arguments, NULL, NULL);
  call->sockets = sockets_of(env);
  if (call->sockets == NULL || napi_get_value_int32(env, call->arguments[0], &id) != napi_ok) return false;
  if (id < 0 || (size_t)id >= call->sockets->room) return false;
  call->tcp = call->sockets->by_id[id];
  return call->tcp != NULL;
}

static napi_value number(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

/* use(arena): where bytes are received from now on, from its beginning. */
static napi_value js_use(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value arena;
  napi_get_cb_info(env, info, &count, &arena, NULL, NULL);
  struct sockets *sockets = sockets_of(env);
  if (sockets == NULL) return throw_error(env, "the sockets are not open");
  if (sockets->arena_ref != NULL) napi_delete_reference(env, sockets->arena_ref);
  sockets->arena = memory_of(env, arena, &sockets->arena_size, &sockets->arena_ref);
  sockets->arena_used = 0;
  return NULL;
}

/* reuse(): nobody has kept anything of the arena. */
static napi_value js_reuse(napi_env env, napi_callback_info info) {
  (void)info;
  struct sockets *sockets = sockets_of(env);
  if (sockets != NULL) sockets->arena_used = 0;
  return NULL;
}

/* listen(fd): accepts from a socket that listens, of which it takes a copy. @returns its number, or -errno */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int32_t fd = -1;
  int on = 1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct sockets *sockets = sockets_of(env);
  if (sockets == NULL || napi_get_value_int32(env, argument, &fd) != napi_ok) return number(env, -EINVAL);
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return number(env, -errno);
  /* Those that it accepts have it too. */
  (void)setsockopt(copy, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct tcp_socket *tcp = add_socket(sockets, copy, true);
  return number(env, tcp == NULL ? -errno : tcp->id);
}

/* @returns its length, or 0 where the bytes are no address */
static socklen_t read_address(napi_env env, napi_value value, uint32_t port, struct sockaddr_storage *to) {
  void *bytes = NULL;
  size_t size = 0;
  memset(to, 0, sizeof *to);
  if (napi_get_buffer_info(env, value, &bytes, &size) != napi_ok) return 0;
  if (size == 4) {
    struct sockaddr_in *ip = (struct sockaddr_in *)to;
    ip->sin_family = AF_INET;
    ip->sin_port = htons((uint16_t)port);
    memcpy(&ip->sin_addr, bytes, 4);
    return sizeof *ip;
  }
  if (size != 16) return 0;
  struct sockaddr_in6 *ip = (struct sockaddr_in6 *)to;
  ip->sin6_family = AF_INET6;
  ip->sin6_port = htons((uint16_t)port);
  memcpy(&ip->sin6_addr, bytes, 16);
  return sizeof *ip;
}

/* @returns 0 or errno */
static int leave_from(napi_env env, int fd, napi_value address) {
  struct sockaddr_storage from;
  int on = 1;
  socklen_t length = read_address(env, address, 0, &from);
  if (length == 0) return EINVAL;
  /* So that a port is taken as it is connected, for this destination alone: else they would run out. */
  (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  return bind(fd, (struct sockaddr *)&from, length) < 0 ? errno : 0;
}

/*
 * connect(address, port, from): addresses as 4 or 16 bytes, `from` undefined for any. @returns the number of a socket that
 * becomes CONNECTED or FAILED; -errno where it cannot even be tried; -1000-errno where it cannot leave from there
 */
static napi_value js_connect(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value arguments[3];
  uint32_t port = 0;
  int on = 1;
  struct sockaddr_storage to;
  napi_valuetype from = napi_undefined;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct sockets *sockets = sockets_of(env);
  if (sockets == NULL || count < 3 || napi_get_value_uint32(env, arguments[1], &port) != napi_ok) return number(env, -EINVAL);
  socklen_t length = read_address(env, arguments[0], port, &to);
  if (length == 0) return number(env, -EINVAL);
  int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return number(env, -errno);
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  napi_typeof(env, arguments[2], &from);
  int error = from == napi_undefined ? 0 : leave_from(env, fd, arguments[2]);
  if (error != 0) {
    close(fd);
    return number(env, -1000 - error);
  }
  if (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS) {
    error = errno;
    close(fd);
    return number(env, -error);
  }
  struct tcp_socket *tcp = add_socket(sockets, fd, false);
  if (tcp == NULL) return number(env, -errno);
  tcp->connecting = true;
  mind_loop(sockets, tcp);
  return number(env, tcp->id);
}

/* resume(id): tells what is received from now on, beginning with the next turn. */
static napi_value js_resume(napi_env env, napi_callback_info info) {
  struct call call;
  if (!read_call(env, info, &call)) return NULL;
  call.tcp->flowing = true;
  mind_loop(call.sockets, call.tcp);
  if (!call.tcp->readable || call.tcp->ended) return NULL;
  make_ready(call.sockets, call.tcp);
  if (!call.sockets->telling) mind_ready(call.sockets);
  return NULL;
}

/* pause(id): what this turn has received already is told all the same. */
static napi_value js_pause(napi_env env, napi_callback_info info) {
  struct call call;
  if (!read_call(env, info, &call)) return NULL;
  call.tcp->flowing = false;
  mind_loop(call.sockets, call.tcp);
  return NULL;
}

/* Tells in the next turn that a connection broke. */
static void break_later(const struct call *call, int error) {
  call->tcp->error = error;
  make_ready(call->sockets, call->tcp);
  if (!call->sockets->telling) mind_ready(call->sockets);
}

/* write(id, bytes): @returns whether all of it was sent; else DRAINED follows */
static napi_value js_write(napi_env env, napi_callback_info info) {
  struct call call;
  void *bytes = NULL;
  size_t size = 0, sent = 0;
  napi_value result;
  bool is_sent = true;
  if (read_call(env, info, &call) && call.tcp->error == 0 && !call.tcp->finishing &&
      napi_get_buffer_info(env, call.arguments[1], &bytes, &size) == napi_ok) {
    bool waits = call.tcp->held != NULL || call.tcp->connecting;
    int error = waits ? 0 : send_some(call.sockets, call.tcp, bytes, size, &sent);
    is_sent = sent == size;
    if (error == 0 && !is_sent && !hold(call.tcp, (const char *)bytes + sent, size - sent)) error = ENOMEM;
    if (error != 0) break_later(&call, error);
    mind_loop(call.sockets, call.tcp);
  }
  napi_get_boolean(env, is_sent, &result);
  return result;
}

/* finish(id): says FIN once all is sent. @returns whether it is said; else FINISHED follows, or FAILED */
static napi_value js_finish(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  bool is_finished = false;
  if (read_call(env, info, &call) && !call.tcp->finishing && call.tcp->error == 0) {
    call.tcp->finishing = true;
    int error = call.tcp->held == NULL ? say_fin(call.tcp) : 0;
    is_finished = call.tcp->finished;
    if (error != 0) break_later(&call, error);
  }
  napi_get_boolean(env, is_finished, &result);
  return result;
}

/* close(id, reset): what is held is dropped; with a reset the peer is told that something is missing. */
static napi_value js_close(napi_env env, napi_callback_info info) {
  struct call call;
  bool reset = false;
  if (!read_call(env, info, &call)) return NULL;
  (void)napi_get_value_bool(env, call.arguments[1], &reset);
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  if (reset) (void)setsockopt(call.tcp->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close_socket(call.sockets, call.tcp);
  return NULL;
}

/* detach(id): @returns its descriptor, which is the caller's from now on; -1 where bytes are still held */
static napi_value js_detach(napi_env env, napi_callback_info info) {
  struct call call;
  if (!read_call(env, info, &call) || call.tcp->held != NULL) return number(env, -1);
  (void)epoll_ctl(call.sockets->epoll, EPOLL_CTL_DEL, call.tcp->fd, NULL);
  return number(env, release_socket(call.sockets, call.tcp));
}

/* quiet(id): @returns for how many milliseconds nothing has moved */
static napi_value js_quiet(napi_env env, napi_callback_info info) {
  struct call call;
  napi_value result;
  double quiet = 0;
  if (read_call(env, info, &call)) quiet = (double)(uv_now(call.sockets->poll.loop) - call.tcp->moved_at);
  napi_create_double(env, quiet, &result);
  return result;
}

/* duplicate(fd): @returns a copy, or -errno */
static napi_value js_duplicate(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int32_t fd = -1;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  if (napi_get_value_int32(env, argument, &fd) != napi_ok) return number(env, -EINVAL);
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return number(env, copy < 0 ? -errno : copy);
}

void define_sockets(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"open", NULL, js_open, NULL, NULL, NULL, napi_enumerable, NULL},
      {"use", NULL, js_use, NULL, NULL, NULL, napi_enumerable, NULL},
      {"reuse", NULL, js_reuse, NULL, NULL, NULL, napi_enumerable, NULL},
      {"listen", NULL, js_listen, NULL, NULL, NULL, napi_enumerable, NULL},
      {"connect", NULL, js_connect, NULL, NULL, NULL, napi_enumerable, NULL},
      {"resume", NULL, js_resume, NULL, NULL, NULL, napi_enumerable, NULL},
      {"pause", NULL, js_pause, NULL, NULL, NULL, napi_enumerable, NULL},
      {"write", NULL, js_write, NULL, NULL, NULL, napi_enumerable, NULL},
      {"finish", NULL, js_finish, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, js_close, NULL, NULL, NULL, napi_enumerable, NULL},
      {"detach", NULL, js_detach, NULL, NULL, NULL, napi_enumerable, NULL},
      {"quiet", NULL, js_quiet, NULL, NULL, NULL, napi_enumerable, NULL},
      {"duplicate", NULL, js_duplicate, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
