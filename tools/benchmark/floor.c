/* floor.c - the least that relaying a message can cost a program of its own.
 *
 * One thread, one epoll instance, one receive and one send a message and nothing else: no
 * half-close, no backpressure, no timers, no counters, no log. It drops a connection at the
 * first thing that is not plain relaying, so it is no relay for anybody; the bench runs it
 * beside the real ones to tell their own cost from the kernel's.
 *
 *     floor LISTEN-PORT UPSTREAM-PORT        both on 127.0.0.1
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 1 << 20, EVENTS = 64, BUFFER = 64 * 1024 };

static int *peer_of; /* owned; by descriptor, 0: none */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("floor: epoll_ctl");
        exit(1);
    }
}

static void drop(int fd)
{
    int peer = peer_of[fd];
    peer_of[fd] = 0;
    if (peer != 0)
        peer_of[peer] = 0;
    close(fd);
    if (peer != 0)
        close(peer);
}

static void take_clients(int epoll_fd, int listener, const struct sockaddr_in *upstream)
{
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            return;
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server < 0 ||
            connect(server, (const struct sockaddr *)upstream, sizeof *upstream) != 0) {
            perror("floor: upstream");
            exit(1);
        }
        peer_of[client] = server;
        peer_of[server] = client;
        watch(epoll_fd, client);
        watch(epoll_fd, server);
    }
}

static void move(int fd)
{
    static char buffer[BUFFER];
    ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0)
        return;
    if (got == 0 || send(peer_of[fd], buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT) != got)
        drop(fd);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "floor LISTEN-PORT UPSTREAM-PORT\n");
        return 2;
    }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    peer_of = calloc(DESCRIPTORS, sizeof *peer_of);
    if (peer_of == NULL) {
        perror("floor");
        return 1;
    }

    struct sockaddr_in here = loopback(atoi(argv[1])), upstream = loopback(atoi(argv[2]));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 ||
        listen(listener, 4096) != 0) {
        perror("floor: listen");
        return 1;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll_fd, listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                take_clients(epoll_fd, listener, &upstream);
            else if (peer_of[fd] != 0)
                move(fd);
        }
    }
}
