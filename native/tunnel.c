/*
 * The native tunnel: passes the bytes of tunnels that JavaScript has decided on, recorded, dialled and checked.
 *
 *     JavaScript thread                      relay thread (one for each environment of Node: one for a worker)
 *       start(ended)      -- creates -->       epoll loop
 *       attach(fds, ...)  -- inbox ---->       client fd ==== up ===> upstream fd
 *       breakOff(id)      -- inbox ---->                 <== down ===
 *       ended(id, ...)   <-- outbox ----       exactly once for each attached tunnel
 *
 * Invariants
 *
 *  1. Descriptors. attach() takes both: from then on they belong to the tunnel and are closed once, by end_tunnel(). A pipe belongs either to the stock of the relay or to the one flow that
 *     has bytes in it.
 *  2. Threads. A tunnel is touched by one thread at a time: by JavaScript until it is in the inbox, by the relay until it is in
 *     the outbox, by JavaScript again until it is freed. Only inbox, outbox and `stopping` are shared: under `lock`.
 *  3. Order. A flow reads only when it holds nothing, so that what it holds is bounded by one read, bytes cannot overtake one
 *     another, and nobody is read faster than the other side takes.
 *  4. Readiness. Both descriptors are registered once and edge-triggered. `readable` and `writable` are false only after the
 *     kernel said EAGAIN, or after a read that emptied the socket: then an event follows. Whoever leaves a flow for another
 *     reason has to make sure that one does (`come_again`).
 *  5. Half-close. A flow is over once its source has said FIN, all bytes are passed on and FIN is said to its sink; a tunnel is
 *     over once both flows are, or as soon as either side fails, nothing moves for its idle limit, or it is broken off.
 *  6. Lifetime. Events of one epoll_wait may speak of a tunnel that an earlier one of them ended: an ended tunnel stays in
 *     `ended` until all are seen, and `end_tunnel` is the only way there.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  READ_SIZE = 64 * 1024,
  /* A direction that has moved more than this goes through a pipe instead of through user space. */
  SPLICE_BEYOND = 64 * 1024,
  PIPE_SIZE = 256 * 1024,
  /* Empty pipes that are kept for the next flow. */
  MOST_SPARE_PIPES = 16,
  /* Bytes that a flow may read in a row while others wait. */
  TURN_SIZE = 1024 * 1024,
  EVENTS = 256,
  BUCKETS = 4096,
  /* Between two looks for idle tunnels, in milliseconds. */
  LEAST_SWEEP_GAP = 10,
};

/* Why a tunnel ended. JavaScript has the same list. */
enum end { OPEN = -1, BOTH_DONE, CLIENT_RESET, UPSTREAM_RESET, IDLE, BROKEN_OFF, OUT_OF_MEMORY };

struct tunnel;

/* One of the two connections. */
struct side {
  struct tunnel *tunnel;
  int fd;
  enum end reset;
  bool readable, writable;
  /* The peer is known to have said FIN, or to be gone: a short read is not the last one. */
  bool hung_up;
};

/* One direction. */
struct flow {
  struct side *from, *to;
  /* What was read and not passed on yet: in memory, or in a pipe; never in both. */
  char *held;
  size_t held_at, held_end;
  int pipe[2];
  size_t piped;
  uint64_t bytes;
  bool cannot_splice, source_done, over;
};

struct tunnel {
  double id;
  struct side client, upstream;
  struct flow up, down;
  int64_t idle_ms, moved_at;
  enum end end;
  /* In the inbox, in a bucket, among the ended, in the outbox: in one of them at a time. */
  struct tunnel *next;
};

struct break_off {
  double id;
  struct break_off *next;
};

struct relay {
  pthread_t thread;
  int epoll, wake;
  napi_threadsafe_function tell;

  pthread_mutex_t lock;
  struct tunnel *inbox, *outbox;
  struct break_off *breaks;
  bool stopping;

  /* Of the JavaScript thread. */
  uint64_t attached;

  /* Of the relay thread. */
  struct tunnel *by_id[BUCKETS];
  struct tunnel *ended;
  int64_t now, sweep_at;
  int spare_pipes[MOST_SPARE_PIPES][2];
  int spare_count;
  char buffer[READ_SIZE];
};

static const int64_t NEVER = INT64_MAX;

/* ---- time ---- */

static int64_t milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- pipes ---- */

static bool take_pipe(struct relay *relay, struct flow *flow) {
  if (relay->spare_count > 0) {
    memcpy(flow->pipe, relay->spare_pipes[--relay->spare_count], sizeof flow->pipe);
    return true;
  }
  if (pipe2(flow->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
    flow->pipe[0] = flow->pipe[1] = -1;
    return false;
  }
  /* Refused beyond what a user may have in pipes: a small one does as well. */
  (void)fcntl(flow->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
  return true;
}

static void drop_pipe(struct relay *relay, struct flow *flow) {
  if (flow->pipe[0] < 0) return;
  if (flow->piped == 0 && relay->spare_count < MOST_SPARE_PIPES) {
    memcpy(relay->spare_pipes[relay->spare_count++], flow->pipe, sizeof flow->pipe);
  } else {
    close(flow->pipe[0]);
    close(flow->pipe[1]);
  }
  flow->pipe[0] = flow->pipe[1] = -1;
  flow->piped = 0;
}

/* ---- the end of a tunnel ---- */

static struct tunnel **bucket_of(struct relay *relay, double id) {
  return &relay->by_id[(uint64_t)id % BUCKETS];
}

static void drop_flow(struct relay *relay, struct flow *flow) {
  drop_pipe(relay, flow);
  free(flow->held);
  flow->held = NULL;
}

static void end_tunnel(struct relay *relay, struct tunnel *tunnel, enum end end) {
  if (tunnel->end != OPEN) return;
  tunnel->end = end;
  drop_flow(relay, &tunnel->up);
  drop_flow(relay, &tunnel->down);
  /* As long as a copy is open elsewhere, in a process that is about to be started, the kernel would go on telling of them. */
  (void)epoll_ctl(relay->epoll, EPOLL_CTL_DEL, tunnel->client.fd, NULL);
  (void)epoll_ctl(relay->epoll, EPOLL_CTL_DEL, tunnel->upstream.fd, NULL);
  close(tunnel->client.fd);
  close(tunnel->upstream.fd);
  struct tunnel **link = bucket_of(relay, tunnel->id);
  while (*link != tunnel) link = &(*link)->next;
  *link = tunnel->next;
  tunnel->next = relay->ended;
  relay->ended = tunnel;
}

/* ---- moving bytes ---- */

static void moved(struct relay *relay, struct side *side) { side->tunnel->moved_at = relay->now; }

/* What a call on a connection that failed means. @returns whether it may be tried again at once */
static bool failed(struct relay *relay, struct side *side, bool *ready) {
  if (errno == EINTR) return true;
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    *ready = false;
    return false;
  }
  end_tunnel(relay, side->tunnel, side->reset);
  return false;
}

/* Has the kernel tell again of a connection that was left before it was empty. */
static void come_again(struct relay *relay, struct side *side) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = side};
  if (epoll_ctl(relay->epoll, EPOLL_CTL_MOD, side->fd, &event) < 0)
    end_tunnel(relay, side->tunnel, OUT_OF_MEMORY);
}

static void write_held(struct relay *relay, struct flow *flow) {
  ssize_t sent = send(flow->to->fd, flow->held + flow->held_at, flow->held_end - flow->held_at, MSG_NOSIGNAL);
  if (sent < 0) {
    (void)failed(relay, flow->to, &flow->to->writable);
    return;
  }
  moved(relay, flow->to);
  flow->held_at += (size_t)sent;
  if (flow->held_at < flow->held_end) return;
  free(flow->held);
  flow->held = NULL;
}

static void write_piped(struct relay *relay, struct flow *flow) {
  ssize_t sent = splice(flow->pipe[0], NULL, flow->to->fd, NULL, flow->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (sent < 0) {
    (void)failed(relay, flow->to, &flow->to->writable);
    return;
  }
  moved(relay, flow->to);
  flow->piped -= (size_t)sent;
  if (flow->piped == 0) drop_pipe(relay, flow);
}

/* Keeps what could not be passed on at once. */
static void hold(struct relay *relay, struct flow *flow, const char *bytes, size_t size) {
  flow->held = malloc(size);
  if (flow->held == NULL) {
    end_tunnel(relay, flow->from->tunnel, OUT_OF_MEMORY);
    return;
  }
  memcpy(flow->held, bytes, size);
  flow->held_at = 0;
  flow->held_end = size;
}

/* @returns how much was read */
static size_t read_through_memory(struct relay *relay, struct flow *flow) {
  ssize_t size = recv(flow->from->fd, relay->buffer, sizeof relay->buffer, 0);
  if (size < 0) {
    (void)failed(relay, flow->from, &flow->from->readable);
    return 0;
  }
  if (size == 0) {
    flow->source_done = true;
    return 0;
  }
  moved(relay, flow->from);
  flow->bytes += (uint64_t)size;
  if ((size_t)size < sizeof relay->buffer && !flow->from->hung_up) flow->from->readable = false;
  ssize_t sent = -1;
  if (flow->to->writable) {
    do sent = send(flow->to->fd, relay->buffer, (size_t)size, MSG_NOSIGNAL);
    while (sent < 0 && failed(relay, flow->to, &flow->to->writable));
    if (flow->to->tunnel->end != OPEN) return 0;
  }
  if (sent < 0) sent = 0;
  if (sent < size) hold(relay, flow, relay->buffer + sent, (size_t)(size - sent));
  return (size_t)size;
}

/* @returns how much was read */
static size_t read_through_pipe(struct relay *relay, struct flow *flow) {
  ssize_t size = splice(flow->from->fd, NULL, flow->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (size > 0) {
    moved(relay, flow->from);
    flow->bytes += (uint64_t)size;
    flow->piped = (size_t)size;
    return (size_t)size;
  }
  int error = errno;
  drop_pipe(relay, flow);
  errno = error;
  if (size == 0) flow->source_done = true;
  else if (errno == EINVAL) flow->cannot_splice = true;
  else (void)failed(relay, flow->from, &flow->from->readable);
  return 0;
}

static size_t read_some(struct relay *relay, struct flow *flow) {
  if (flow->bytes > SPLICE_BEYOND && !flow->cannot_splice && take_pipe(relay, flow))
    return read_through_pipe(relay, flow);
  return read_through_memory(relay, flow);
}

static void pass_fin_on(struct relay *relay, struct flow *flow) {
  struct tunnel *tunnel = flow->to->tunnel;
  flow->over = true;
  /* The last FIN is said by closing. */
  if (tunnel->up.over && tunnel->down.over) end_tunnel(relay, tunnel, BOTH_DONE);
  else if (shutdown(flow->to->fd, SHUT_WR) < 0) end_tunnel(relay, tunnel, flow->to->reset);
}

/* Moves what can be moved without waiting, up to a turn's worth. */
static void run_flow(struct relay *relay, struct flow *flow) {
  const struct tunnel *tunnel = flow->from->tunnel;
  size_t turn = 0;
  while (tunnel->end == OPEN && !flow->over) {
    bool holds = flow->held != NULL || flow->piped > 0;
    if (holds && !flow->to->writable) return;
    if (flow->held != NULL) write_held(relay, flow);
    else if (flow->piped > 0) write_piped(relay, flow);
    else if (flow->source_done) pass_fin_on(relay, flow);
    else if (!flow->from->readable) return;
    else if (turn >= TURN_SIZE) {
      come_again(relay, flow->from);
      return;
    } else turn += read_some(relay, flow);
  }
}

/* Down first: a server that answers and resets is heard out before something is sent to it that fails. */
static void run_tunnel(struct relay *relay, struct tunnel *tunnel) {
  run_flow(relay, &tunnel->down);
  run_flow(relay, &tunnel->up);
}

/* ---- the loop ---- */

static void on_event(struct relay *relay, struct side *side, uint32_t events) {
  struct tunnel *tunnel = side->tunnel;
  if (tunnel->end != OPEN) return;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side->hung_up = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side->readable = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) side->writable = true;
  run_tunnel(relay, tunnel);
  /* Whose bytes have all been passed on is no longer read, and would be missed only when something is sent to it. */
  const struct flow *flow = side == &tunnel->client ? &tunnel->up : &tunnel->down;
  if ((events & EPOLLERR) && tunnel->end == OPEN && flow->over) end_tunnel(relay, tunnel, side->reset);
}

static bool watch(struct relay *relay, struct side *side) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = side};
  return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, side->fd, &event) == 0;
}

static void begin_tunnel(struct relay *relay, struct tunnel *tunnel) {
  struct tunnel **bucket = bucket_of(relay, tunnel->id);
  tunnel->next = *bucket;
  *bucket = tunnel;
  tunnel->moved_at = relay->now;
  if (relay->now + tunnel->idle_ms < relay->sweep_at) relay->sweep_at = relay->now + tunnel->idle_ms;
  /* What can be read already is told by the first events; early bytes need not wait for them. */
  if (watch(relay, &tunnel->client) && watch(relay, &tunnel->upstream)) run_tunnel(relay, tunnel);
  else end_tunnel(relay, tunnel, OUT_OF_MEMORY);
}

static void break_off(struct relay *relay, double id) {
  struct tunnel *tunnel = *bucket_of(relay, id);
  while (tunnel != NULL && tunnel->id != id) tunnel = tunnel->next;
  if (tunnel != NULL) end_tunnel(relay, tunnel, BROKEN_OFF);
}

/* @returns whether to go on */
static bool read_inbox(struct relay *relay) {
  pthread_mutex_lock(&relay->lock);
  struct tunnel *tunnel = relay->inbox;
  struct break_off *broken = relay->breaks;
  bool stopping = relay->stopping;
  relay->inbox = NULL;
  relay->breaks = NULL;
  pthread_mutex_unlock(&relay->lock);
  while (tunnel != NULL) {
    struct tunnel *next = tunnel->next;
    begin_tunnel(relay, tunnel);
    tunnel = next;
  }
  while (broken != NULL) {
    struct break_off *next = broken->next;
    break_off(relay, broken->id);
    free(broken);
    broken = next;
  }
  return !stopping;
}

static void end_idle_tunnels(struct relay *relay) {
  if (relay->now < relay->sweep_at) return;
  relay->sweep_at = NEVER;
  for (size_t i = 0; i < BUCKETS; i++) {
    for (struct tunnel *next, *tunnel = relay->by_id[i]; tunnel != NULL; tunnel = next) {
      next = tunnel->next;
      int64_t due = tunnel->moved_at + tunnel->idle_ms;
      if (due <= relay->now) end_tunnel(relay, tunnel, IDLE);
      else if (due < relay->sweep_at) relay->sweep_at = due;
    }
  }
  if (relay->sweep_at < relay->now + LEAST_SWEEP_GAP) relay->sweep_at = relay->now + LEAST_SWEEP_GAP;
}

static void report_ended(struct relay *relay) {
  if (relay->ended == NULL) return;
  struct tunnel *last = relay->ended;
  while (last->next != NULL) last = last->next;
  pthread_mutex_lock(&relay->lock);
  bool told = relay->outbox != NULL;
  last->next = relay->outbox;
  relay->outbox = relay->ended;
  pthread_mutex_unlock(&relay->lock);
  relay->ended = NULL;
  /* Fails only while the environment is being torn down, which takes the outbox with it. */
  if (!told) (void)napi_call_threadsafe_function(relay->tell, NULL, napi_tsfn_nonblocking);
}

static int until_sweep(const struct relay *relay) {
  if (relay->sweep_at == NEVER) return -1;
  int64_t left = relay->sweep_at - milliseconds();
  return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void close_all(struct relay *relay) {
  for (size_t i = 0; i < BUCKETS; i++)
    while (relay->by_id[i] != NULL) end_tunnel(relay, relay->by_id[i], BROKEN_OFF);
  while (relay->spare_count > 0) {
    relay->spare_count--;
    close(relay->spare_pipes[relay->spare_count][0]);
    close(relay->spare_pipes[relay->spare_count][1]);
  }
  close(relay->epoll);
}

static void *relay_main(void *argument) {
  struct relay *relay = argument;
  struct epoll_event events[EVENTS];
  for (bool going = true; going;) {
    int count = epoll_wait(relay->epoll, events, EVENTS, until_sweep(relay));
    relay->now = milliseconds();
    bool woken = false;
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == NULL) woken = true;
      else on_event(relay, events[i].data.ptr, events[i].events);
    }
    if (woken) {
      uint64_t times;
      (void)!read(relay->wake, &times, sizeof times);
      going = read_inbox(relay);
    }
    end_idle_tunnels(relay);
    report_ended(relay);
  }
  close_all(relay);
  return NULL;
}

/* ---- the JavaScript thread ---- */

static void wake(struct relay *relay) {
  uint64_t once = 1;
  (void)!write(relay->wake, &once, sizeof once);
}

static void free_tunnels(struct tunnel *tunnel) {
  while (tunnel != NULL) {
    struct tunnel *next = tunnel->next;
    free(tunnel->up.held);
    free(tunnel->down.held);
    free(tunnel);
    tunnel = next;
  }
}

/* Called by the threadsafe function: hands what is in the outbox to `ended(id, end, bytesUp, bytesDown)`. */
static void tell_ended(napi_env env, napi_value ended, void *context, void *data) {
  (void)data;
  struct relay *relay = context;
  pthread_mutex_lock(&relay->lock);
  struct tunnel *first = relay->outbox;
  relay->outbox = NULL;
  pthread_mutex_unlock(&relay->lock);
  for (struct tunnel *tunnel = first; env != NULL && tunnel != NULL; tunnel = tunnel->next) {
    napi_handle_scope scope;
    napi_value receiver, arguments[4];
    napi_open_handle_scope(env, &scope);
    napi_get_undefined(env, &receiver);
    napi_create_double(env, tunnel->id, &arguments[0]);
    napi_create_int32(env, tunnel->end, &arguments[1]);
    napi_create_double(env, (double)tunnel->up.bytes, &arguments[2]);
    napi_create_double(env, (double)tunnel->down.bytes, &arguments[3]);
    /* What it throws becomes an uncaught exception once this returns. */
    (void)napi_call_function(env, receiver, ended, 4, arguments, NULL);
    napi_close_handle_scope(env, scope);
    if (--relay->attached == 0) napi_unref_threadsafe_function(env, relay->tell);
  }
  free_tunnels(first);
}

/* The environment ends: its tunnels end with it. Runs before the threadsafe function is gone, which was made earlier. */
static void stop(void *argument) {
  struct relay *relay = argument;
  pthread_mutex_lock(&relay->lock);
  relay->stopping = true;
  pthread_mutex_unlock(&relay->lock);
  wake(relay);
  pthread_join(relay->thread, NULL);
  close(relay->wake);
  free_tunnels(relay->ended);
  relay->ended = NULL;
  (void)napi_release_threadsafe_function(relay->tell, napi_tsfn_release);
}

void free_relay(struct relay *relay) {
  if (relay == NULL) return;
  free_tunnels(relay->outbox);
  pthread_mutex_destroy(&relay->lock);
  free(relay);
}

static struct relay *relay_of(napi_env env) {
  struct addon *addon = NULL;
  napi_get_instance_data(env, (void **)&addon);
  return addon == NULL ? NULL : addon->relay;
}

static bool start_thread(struct relay *relay) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (relay->epoll < 0 || relay->wake < 0) return false;
  if (epoll_ctl(relay->epoll, EPOLL_CTL_ADD, relay->wake, &event) < 0) return false;
  /* Signals are for the threads that Node knows. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&relay->thread, NULL, relay_main, relay);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error == 0;
}

/* start(ended): once for each environment. */
static napi_value js_start(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value ended, name;
  napi_get_cb_info(env, info, &count, &ended, NULL, NULL);
  struct addon *addon = NULL;
  napi_get_instance_data(env, (void **)&addon);
  struct relay *relay = addon == NULL ? NULL : calloc(1, sizeof *relay);
  if (relay == NULL) return throw_error(env, "there is no memory for the relay");
  pthread_mutex_init(&relay->lock, NULL);
  relay->sweep_at = NEVER;
  relay->epoll = epoll_create1(EPOLL_CLOEXEC);
  relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  napi_create_string_utf8(env, "sekisho tunnel", NAPI_AUTO_LENGTH, &name);
  napi_status status = napi_create_threadsafe_function(env, ended, NULL, name, 0, 1, NULL, NULL, relay,
                                                       tell_ended, &relay->tell);
  if (status != napi_ok || !start_thread(relay)) {
    if (status == napi_ok) napi_release_threadsafe_function(relay->tell, napi_tsfn_abort);
    if (relay->epoll >= 0) close(relay->epoll);
    if (relay->wake >= 0) close(relay->wake);
    return throw_error(env, "the thread of the relay cannot be started");
  }
  napi_unref_threadsafe_function(env, relay->tell);
  addon->relay = relay;
  napi_add_env_cleanup_hook(env, stop, relay);
  return NULL;
}

static bool take_early(napi_env env, napi_value value, struct flow *flow) {
  void *bytes;
  size_t size;
  if (napi_get_buffer_info(env, value, &bytes, &size) != napi_ok) return false;
  flow->bytes = size;
  if (size == 0) return true;
  flow->held = malloc(size);
  if (flow->held == NULL) return false;
  memcpy(flow->held, bytes, size);
  flow->held_end = size;
  return true;
}

static void join_sides(struct tunnel *tunnel) {
  /* Readable once the kernel says so: registered, they are told of at once. */
  tunnel->client = (struct side){.tunnel = tunnel, .fd = -1, .reset = CLIENT_RESET, .writable = true};
  tunnel->upstream = (struct side){.tunnel = tunnel, .fd = -1, .reset = UPSTREAM_RESET, .writable = true};
  tunnel->up = (struct flow){.from = &tunnel->client, .to = &tunnel->upstream, .pipe = {-1, -1}};
  tunnel->down = (struct flow){.from = &tunnel->upstream, .to = &tunnel->client, .pipe = {-1, -1}};
  tunnel->end = OPEN;
}

static bool fill_tunnel(napi_env env, const napi_value arguments[6], struct tunnel *tunnel) {
  join_sides(tunnel);
  if (napi_get_value_double(env, arguments[0], &tunnel->id) != napi_ok) return false;
  if (napi_get_value_int32(env, arguments[1], &tunnel->client.fd) != napi_ok) return false;
  if (napi_get_value_int32(env, arguments[2], &tunnel->upstream.fd) != napi_ok) return false;
  if (napi_get_value_int64(env, arguments[5], &tunnel->idle_ms) != napi_ok) return false;
  /* 0: for ever. */
  if (tunnel->idle_ms <= 0) tunnel->idle_ms = NEVER / 2;
  return take_early(env, arguments[3], &tunnel->up) && take_early(env, arguments[4], &tunnel->down);
}

/*
 * attach(id, clientFd, upstreamFd, earlyUp, earlyDown, idleMs): both are connected, do not block, and belong to the tunnel from
 * now on. Early bytes are sent before all others. No two tunnels have the same id. Throws where there is no memory: then they
 * are the caller's still
 */
static napi_value js_attach(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value arguments[6];
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  struct relay *relay = relay_of(env);
  struct tunnel *tunnel = relay == NULL || count < 6 ? NULL : calloc(1, sizeof *tunnel);
  if (tunnel == NULL || !fill_tunnel(env, arguments, tunnel)) {
    free_tunnels(tunnel);
    return throw_error(env, "there is no memory for a tunnel");
  }
  if (relay->attached++ == 0) napi_ref_threadsafe_function(env, relay->tell);
  pthread_mutex_lock(&relay->lock);
  bool told = relay->inbox != NULL || relay->breaks != NULL;
  tunnel->next = relay->inbox;
  relay->inbox = tunnel;
  pthread_mutex_unlock(&relay->lock);
  if (!told) wake(relay);
  return NULL;
}

/* breakOff(id): a tunnel that has ended already is left as it ended. */
static napi_value js_break_off(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  double id = 0;
  napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
  struct relay *relay = relay_of(env);
  if (relay == NULL || napi_get_value_double(env, argument, &id) != napi_ok) return throw_error(env, "no such tunnel");
  struct break_off *broken = malloc(sizeof *broken);
  if (broken == NULL) return throw_error(env, "there is no memory to break a tunnel off");
  broken->id = id;
  pthread_mutex_lock(&relay->lock);
  bool told = relay->inbox != NULL || relay->breaks != NULL;
  broken->next = relay->breaks;
  relay->breaks = broken;
  pthread_mutex_unlock(&relay->lock);
  if (!told) wake(relay);
  return NULL;
}

void define_tunnel(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"start", NULL, js_start, NULL, NULL, NULL, napi_enumerable, NULL},
      {"attach", NULL, js_attach, NULL, NULL, NULL, napi_enumerable, NULL},
      {"breakOff", NULL, js_break_off, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
}
