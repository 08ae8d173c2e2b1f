/*
 * Load for proxies. One thread, epoll, no allocation once it runs: it has to be faster than
 * whatever it measures. Heads and payloads come in hexadecimal, so that any byte can be sent; an empty one is not sent.
 *
 *   load http     PORT CONNECTIONS SECONDS RATE REQUEST   kept connections; RATE 0: the next request as soon as one is answered
 *   load connect  PORT CONNECTIONS SECONDS HEAD PAYLOAD   open, HEAD, 200, PAYLOAD, the upstream's answer, close
 *   load bulk     PORT CONNECTIONS SECONDS HEAD COMMAND   open, HEAD, 200, COMMAND (`D` download, `U` upload), then bytes
 *   load churn    PORT CONNECTIONS COUNT FIRST PAYLOAD    as connect, COUNT times without a HEAD: each from an address of its own, with
 *                                                         its number, from FIRST on, in place of every `########` in PAYLOAD
 *   load idle     PORT TUNNELS SECONDS HEAD PAYLOAD       opens as many as it can in that time, says so, and holds them until its
 *                                                         input ends
 *
 * At the end it prints one line of JSON. Latencies at a RATE count from when a request was due, not from when a connection was
 * free for it, so that a pause is seen by all that it delayed. A server may close a kept connection without a word: a request that
 * meets this is sent again on a new one (`resent`), as clients do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESSES = 64000, DIGITS = 8, ANSWER = 64, BUFFER = 16384, PIECE = 262144, MAX_SAMPLES = 4000000, EVENTS = 256, PIECES = 8, CHURN_SECONDS = 60 };
enum state { UNUSED, CONNECTING, FREE, HEAD_SENT, PAYLOAD_SENT, RECEIVING, SENDING, HELD };

struct conn {
  int fd;
  enum state state;
  int64_t due;    /* when its work was to begin, in ns */
  int got;        /* bytes of the answer in `in` */
  int served;     /* requests that were answered on this connection */
  long body;      /* bytes of the body still to come; -1: until the end of the connection */
  bool in_body, closes;
  char in[BUFFER + 1];
};

struct bytes { char *at; size_t length; };

static int epoll, port, connections;
static int64_t started, deadline, interval;
static struct bytes head, payload;
static struct conn *conns;
static int *free_conns, free_count, busy;
static char piece[PIECE];
static uint32_t *samples; /* µs */
static size_t sample_count;
static uint64_t units, failed, resent, begun, first, total = UINT64_MAX;
static bool closes_unasked; /* the server keeps no connection, and does not say so */
static const char *mode;

static void die(const char *what) { perror(what); exit(1); }

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct bytes from_hex(const char *hex) {
  size_t length = strlen(hex) / 2;
  struct bytes out = {malloc(length + 1), length};
  for (size_t i = 0; i < length; i++) {
    unsigned byte;
    if (sscanf(hex + 2 * i, "%2x", &byte) != 1) { fprintf(stderr, "no hexadecimal: %s\n", hex); exit(2); }
    out.at[i] = (char)byte;
  }
  return out;
}

static void watch(int op, int fd, uint32_t events, void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  if (epoll_ctl(epoll, op, fd, &event) < 0) die("epoll_ctl");
}

static bool send_all(struct conn *c, struct bytes what) {
  return send(c->fd, what.at, what.length, MSG_NOSIGNAL) == (ssize_t)what.length;
}

static bool is(const char *name) { return strcmp(mode, name) == 0; }

/* ---- a connection's life ---- */

/* Another one for every connection, in turns: 127.1.0.1 to 127.1.249.250 and so on. */
static void take_address(int fd, uint64_t number) {
  uint32_t n = (uint32_t)((first + number) % ADDRESSES);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000u + (n / 250 << 8) + n % 250 + 1)};
  int one = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
}

/* The next number goes where the payload has room for one. */
static void number_payload(void) {
  static uint64_t numbered;
  static char *at[PIECES];
  static int count = -1;
  char digits[DIGITS + 1];
  if (count < 0) {
    count = 0;
    for (char *p = payload.at; count < PIECES && (p = memmem(p, payload.length - (size_t)(p - payload.at), "########", DIGITS)); p += DIGITS) at[count++] = p;
  }
  snprintf(digits, sizeof digits, "%08u", (unsigned)((first + numbered++) % 100000000));
  for (int i = 0; i < count; i++) memcpy(at[i], digits, DIGITS);
}

static bool goes_on(void) { return now_ns() < deadline && begun < total; }

static void open_conn(struct conn *c, int64_t due) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->state = CONNECTING;
  c->due = due;
  c->got = 0;
  c->served = 0;
  c->in_body = false;
  busy++;
  if (is("churn")) take_address(c->fd, begun++);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect");
  watch(EPOLL_CTL_ADD, c->fd, EPOLLOUT, c);
}

static void close_conn(struct conn *c) {
  if (c->state != FREE && c->state != HELD && c->state != UNUSED) busy--;
  close(c->fd);
  c->state = UNUSED;
}

static void fail(struct conn *c) {
  failed++;
  close_conn(c);
  if (is("http") && now_ns() < deadline) open_conn(c, 0);
  if ((is("connect") || is("churn")) && goes_on()) open_conn(c, now_ns());
}

/* The connection ended before a byte of the answer. */
static void lost(struct conn *c) {
  int64_t due = c->due;
  if (c->served == 0) return fail(c);
  if (c->served == 1) closes_unasked = true;
  resent++;
  close_conn(c);
  open_conn(c, due);
}

static void done(struct conn *c) {
  int64_t took = now_ns() - c->due;
  units++;
  if (sample_count < MAX_SAMPLES) samples[sample_count++] = (uint32_t)(took / 1000);
}

static void set_free(struct conn *c) {
  c->state = FREE;
  busy--;
  free_conns[free_count++] = (int)(c - conns);
}

static void forget_free(struct conn *c) {
  for (int i = 0; i < free_count; i++)
    if (&conns[free_conns[i]] == c) free_conns[i--] = free_conns[--free_count];
}

static void request(struct conn *c, int64_t due) {
  c->due = due;
  c->got = 0;
  c->in_body = false;
  c->state = HEAD_SENT;
  busy++;
  if (!send_all(c, head)) lost(c);
}

/* Hands what is due to connections that are free. @returns when to look again, in ns from now; -1: on the next event */
static int64_t hand_out(void) {
  static uint64_t handed;
  for (int64_t now = now_ns(); free_count > 0 && now < deadline; now = now_ns()) {
    int64_t due = interval ? started + (int64_t)handed * interval : now;
    if (due >= deadline) return -1;
    if (due > now) return due - now;
    struct conn *c = &conns[free_conns[--free_count]];
    handed++;
    request(c, due);
  }
  return -1;
}

/* ---- what comes in ---- */

/* @returns bytes of the head of a 200, 0 while it is incomplete, -1 for anything else */
static int head_length(struct conn *c) {
  c->in[c->got] = 0;
  char *end = memmem(c->in, (size_t)c->got, "\r\n\r\n", 4);
  if (end == NULL) return c->got == BUFFER ? -1 : 0;
  return strncmp(c->in, "HTTP/1.", 7) == 0 && strncmp(c->in + 8, " 200", 4) == 0 ? (int)(end - c->in) + 4 : -1;
}

static void answered(struct conn *c) {
  done(c);
  c->served++;
  if (!c->closes) return set_free(c);
  close_conn(c);
  if (now_ns() < deadline) open_conn(c, 0);
}

static void read_head(struct conn *c) {
  int length = head_length(c);
  if (length < 0) return fail(c);
  if (length == 0) return;
  c->in[length - 1] = 0;
  char *field = strcasestr(c->in, "\r\ncontent-length:");
  bool kept = strcasestr(c->in, "\r\nconnection: keep-alive") != NULL;
  c->closes = strcasestr(c->in, "\r\nconnection: close") != NULL || (c->in[7] == '0' && !kept) || field == NULL || closes_unasked;
  c->body = field == NULL ? -1 : atol(field + 17) - (c->got - length);
  c->in_body = true;
  if (c->body == 0) answered(c);
}

static void read_response(struct conn *c) {
  ssize_t n = c->in_body ? recv(c->fd, piece, PIECE, 0) : recv(c->fd, c->in + c->got, (size_t)(BUFFER - c->got), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return n == 0 && c->in_body && c->body < 0 ? answered(c) : c->got == 0 ? lost(c) : fail(c);
  if (!c->in_body) {
    c->got += (int)n;
    return read_head(c);
  }
  if (c->body < 0) return;
  c->body -= n;
  if (c->body == 0) answered(c);
}

static void begin_payload(struct conn *c) {
  c->got = 0;
  c->state = PAYLOAD_SENT;
  if (is("churn")) number_payload();
  if (!send_all(c, payload)) return fail(c);
  if (!is("bulk")) return;
  c->state = payload.at[0] == 'D' ? RECEIVING : SENDING;
  watch(EPOLL_CTL_MOD, c->fd, c->state == RECEIVING ? EPOLLIN : EPOLLOUT, c);
}

static void read_tunnel(struct conn *c) {
  ssize_t n = recv(c->fd, c->in + c->got, (size_t)(BUFFER - c->got), 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return fail(c);
  c->got += (int)n;
  if (c->state == HEAD_SENT) {
    int length = head_length(c);
    if (length < 0) return fail(c);
    if (length > 0) begin_payload(c);
    return;
  }
  if (c->got < ANSWER) return;
  done(c);
  if (is("idle")) {
    c->state = HELD;
    busy--;
    return;
  }
  close_conn(c);
  if (goes_on()) open_conn(c, now_ns());
}

/* The kernel drops the bytes of a download without copying them here. */
static void move_bulk(struct conn *c) {
  ssize_t n = c->state == RECEIVING ? recv(c->fd, piece, PIECE, MSG_TRUNC) : send(c->fd, piece, PIECE, MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return fail(c);
  units += (uint64_t)n;
}

static void connected(struct conn *c) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(c);
  watch(EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
  if (is("http") && c->due == 0) return set_free(c);
  if (is("http")) {
    busy--;
    return request(c, c->due);
  }
  if (head.length == 0) return begin_payload(c);
  c->state = HEAD_SENT;
  if (!send_all(c, head)) fail(c);
}

static void handle(struct conn *c) {
  switch (c->state) {
    case CONNECTING: return connected(c);
    case RECEIVING:
    case SENDING: return move_bulk(c);
    case HEAD_SENT:
    case PAYLOAD_SENT: return is("http") ? read_response(c) : read_tunnel(c);
    case HELD:
      failed++;
      return close_conn(c);
    case FREE: /* a proxy may close a connection that carries nothing */
      forget_free(c);
      close_conn(c);
      if (now_ns() < deadline) open_conn(c, 0);
      return;
    case UNUSED: return;
  }
}

static void turn(int64_t wait_ns) {
  struct epoll_event events[EVENTS];
  struct timespec timeout = {wait_ns / 1000000000, wait_ns % 1000000000};
  int n = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
  if (n < 0 && errno != EINTR) die("epoll_pwait2");
  for (int i = 0; i < n; i++) handle(events[i].data.ptr);
}

/* ---- the end ---- */

/* Seconds in which it could have run and no core was free for it. */
static double waited_for_a_core(void) {
  unsigned long long ran = 0, waited = 0;
  FILE *file = fopen("/proc/self/schedstat", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
  fclose(file);
  return (double)waited / 1e9;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile_ms(double part) {
  if (sample_count == 0) return 0;
  size_t i = (size_t)(part * (double)sample_count);
  return samples[i < sample_count ? i : sample_count - 1] / 1000.0;
}

static void report(double seconds) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  qsort(samples, sample_count, sizeof *samples, ascending);
  printf("{\"units\":%llu,\"failed\":%llu,\"resent\":%llu,\"seconds\":%.3f,\"cpuSeconds\":%.3f,\"waitedSeconds\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}\n",
         (unsigned long long)units, (unsigned long long)failed, (unsigned long long)resent, seconds, cpu, waited_for_a_core(), percentile_ms(0.5), percentile_ms(0.99),
         percentile_ms(0.999), percentile_ms(1));
  fflush(stdout);
}

static void run(double seconds) {
  const int64_t second = 1000000000;
  started = now_ns();
  deadline = started + (int64_t)(seconds * 1e9);
  for (int i = 0; i < connections; i++) open_conn(&conns[i], is("http") ? 0 : started);
  while (now_ns() < deadline && (goes_on() || busy > 0)) {
    int64_t next = is("http") ? hand_out() : -1;
    int64_t left = deadline - now_ns();
    turn(next >= 0 && next < left ? next : left > 0 ? left : 0);
  }
  double took = (double)(now_ns() - started) / 1e9;
  /* What is under way is waited for, so that nothing slow goes uncounted. */
  if (!is("bulk")) {
    while (busy > 0 && now_ns() < deadline + 5 * second) turn(second / 100);
    failed += (uint64_t)busy;
  }
  report(took);
}

static void hold(double seconds) {
  const int64_t second = 1000000000;
  int opened = 0;
  char byte;
  started = now_ns();
  deadline = INT64_MAX;
  int64_t late = started + (int64_t)(seconds * 1e9);
  while ((opened < connections && now_ns() < late) || (busy > 0 && now_ns() < late + 5 * second)) {
    while (opened < connections && busy < 32 && now_ns() < late) open_conn(&conns[opened++], now_ns());
    turn(second / 10);
  }
  failed += (uint64_t)busy;
  report((double)(now_ns() - started) / 1e9);
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

int main(int argc, char **argv) {
  if (argc != 7) {
    fprintf(stderr, "load: the head of load.c says what it takes\n");
    return 2;
  }
  mode = argv[1];
  port = atoi(argv[2]);
  connections = atoi(argv[3]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  conns = calloc((size_t)connections, sizeof *conns);
  free_conns = calloc((size_t)connections, sizeof *free_conns);
  samples = calloc(MAX_SAMPLES, sizeof *samples);
  if (is("idle")) {
    head = from_hex(argv[5]);
    payload = from_hex(argv[6]);
    hold(atof(argv[4]));
    return 0;
  }
  if (is("churn")) {
    total = strtoull(argv[4], NULL, 10);
    first = strtoull(argv[5], NULL, 10);
    payload = from_hex(argv[6]);
    run(CHURN_SECONDS);
    return 0;
  }
  double rate = is("http") ? atof(argv[5]) : 0;
  interval = rate > 0 ? (int64_t)(1e9 / rate) : 0;
  head = from_hex(is("http") ? argv[6] : argv[5]);
  payload = from_hex(is("http") ? "" : argv[6]);
  run(atof(argv[4]));
  return 0;
}
