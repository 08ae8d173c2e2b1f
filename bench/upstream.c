/*
 * What the tunnels of the benchmark lead to: `upstream PORT`. One thread, epoll. A connection whose first byte is `D` is sent
 * bytes without end; after `U` all is swallowed; anything else is answered once, with 64 bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER = 64, PIECE = 262144, MAX_FD = 65536, EVENTS = 256 };
enum state { NEW, SENDING, SWALLOWING };

static int epoll;
static enum state states[MAX_FD];
static char piece[PIECE];

static void die(const char *what) { perror(what); exit(1); }

static void watch(int op, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll, op, fd, &event) < 0) die("epoll_ctl");
}

static int listen_on(int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0) die("listen");
  return listener;
}

static void take(int listener) {
  int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  if (fd < 0) return;
  if (fd >= MAX_FD) { close(fd); return; }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  states[fd] = NEW;
  watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

static ssize_t begin(int fd) {
  states[fd] = piece[0] == 'D' ? SENDING : SWALLOWING;
  if (states[fd] == SENDING) watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
  else if (piece[0] != 'U') return send(fd, piece, ANSWER, MSG_NOSIGNAL);
  return 1;
}

/* The kernel drops what is swallowed without copying it here. */
static void serve(int fd) {
  ssize_t n = states[fd] == SENDING ? send(fd, piece, PIECE, MSG_NOSIGNAL)
                                    : recv(fd, piece, PIECE, states[fd] == SWALLOWING ? MSG_TRUNC : 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n > 0 && states[fd] == NEW) n = begin(fd);
  if (n <= 0) close(fd);
}

int main(int argc, char **argv) {
  if (argc != 2) { fprintf(stderr, "upstream: which port?\n"); return 2; }
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_on(atoi(argv[1]));
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  struct epoll_event events[EVENTS];
  for (;;) {
    int n = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == listener) take(listener);
      else serve(events[i].data.fd);
    }
  }
}
