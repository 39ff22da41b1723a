/* limit PORT send|sendfile - the least a server can do: cameras in by WebSocket, MJPEG out, one thread with epoll.
 *
 * No auth, no limits, no state, no deadlines: what a server costs beyond this is its own. A viewer that is still
 * inside of a picture does not get the next one. `sendfile` keeps a picture in a memfd that is written once. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { HEAD, CAMERA, VIEWER, GONE };
struct picture {
    int users, fd;
    size_t length;
    char *data;
};
struct room {
    char name[64];
    struct connection **viewers;
    int count, space;
    struct picture *last;
};
struct connection {
    int fd, place, waits;
    enum kind kind;
    struct room *room;
    char *in;
    size_t space, length;
    struct picture *picture; /* the one it is inside of */
    off_t done;
};
static int poller, by_sendfile, room_count;
static struct room rooms[4096];

static void release(struct picture *p) {
    if (!p || --p->users)
        return;
    if (p->fd >= 0)
        close(p->fd);
    free(p->data);
    free(p);
}

static void want_room(struct connection *c, int waits) {
    struct epoll_event e = {.events = EPOLLIN | (waits ? EPOLLOUT : 0u), .data.ptr = c};
    if (waits != c->waits)
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waits = waits;
}

static void drop(struct connection *c) {
    if (c->kind == VIEWER) {
        struct connection *last = c->room->viewers[--c->room->count];
        c->room->viewers[c->place] = last, last->place = c->place;
        release(c->picture);
    } else if (c->kind == CAMERA) { /* who comes now must not be shown what was */
        release(c->room->last), c->room->last = NULL;
    }
    free(c->in), close(c->fd);
    c->in = NULL, c->kind = GONE; /* the memory stays: events of this round may still name it */
}

static void push(struct connection *c) {
    struct picture *p = c->picture;
    size_t left = p->length - (size_t)c->done;
    ssize_t n = p->fd < 0 ? send(c->fd, p->data + c->done, left, MSG_NOSIGNAL) : sendfile(c->fd, p->fd, &c->done, left);
    if (n < 0 && errno != EAGAIN)
        return; /* its hang-up comes as an event */
    if (n > 0 && p->fd < 0)
        c->done += n;
    if ((size_t)c->done == p->length)
        release(p), c->picture = NULL;
    want_room(c, c->picture != NULL);
}

static struct room *find(const char *name) {
    for (int i = 0; i < room_count; i++)
        if (!strcmp(rooms[i].name, name))
            return &rooms[i];
    if (room_count == 4096)
        exit(3);
    strcpy(rooms[room_count].name, name);
    return &rooms[room_count++];
}

static void publish(struct room *r, const char *jpeg, size_t n) {
    struct picture *p = malloc(sizeof *p);
    p->data = malloc(n + 128), p->users = 1, p->fd = -1;
    int h = sprintf(p->data, "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", n);
    memcpy(p->data + h, jpeg, n), memcpy(p->data + h + n, "\r\n--frame\r\n", 11);
    p->length = (size_t)h + n + 11;
    if (by_sendfile) {
        p->fd = memfd_create("picture", MFD_CLOEXEC);
        if (p->fd < 0 || write(p->fd, p->data, p->length) != (ssize_t)p->length)
            exit(3);
    }
    release(r->last), r->last = p;
    for (int i = 0; i < r->count; i++) {
        struct connection *c = r->viewers[i];
        if (!c->picture)
            p->users++, c->picture = p, c->done = 0, push(c);
    }
}

static void say(struct connection *c, const char *words) {
    if (send(c->fd, words, strlen(words), MSG_NOSIGNAL) < 0)
        perror("send");
}

static void request(struct connection *c) {
    char name[64] = "", *room, *end;
    c->in[c->length] = 0;
    if (!(end = strstr(c->in, "\r\n\r\n")))
        return;
    size_t used = (size_t)(end + 4 - c->in);
    if (!strncmp(c->in, "GET /ingest/ws?", 15) && (room = strstr(c->in, "room=")) && sscanf(room + 5, "%63[^& ]", name)) {
        /* The accept of RFC 6455's sample nonce, which our generator sends. */
        say(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        c->kind = CAMERA, c->room = find(name);
        memmove(c->in, c->in + used, c->length -= used);
    } else if (sscanf(c->in, "GET /live/%*63[^/]/%63[^/]/mjpeg", name)) {
        say(c, "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nConnection: close\r\n\r\n"
               "--frame\r\n");
        struct room *r = c->room = find(name);
        if (r->count == r->space)
            r->viewers = realloc(r->viewers, sizeof *r->viewers * (size_t)(r->space = r->space * 2 + 16));
        c->kind = VIEWER, c->place = r->count, r->viewers[r->count++] = c;
        free(c->in), c->in = NULL;
        if (r->last)
            r->last->users++, c->picture = r->last, c->done = 0, push(c);
    } else {
        drop(c);
    }
}

static void messages(struct connection *c) {
    while (c->kind == CAMERA && c->length >= 6) {
        uint8_t *p = (uint8_t *)c->in;
        size_t h = 6, n = p[1] & 127, i = 0;
        if (n == 126) {
            n = (size_t)(p[2] << 8 | p[3]), h = 8;
        } else if (n == 127) {
            if (c->length < 14)
                return;
            for (n = 0, h = 14, i = 0; i < 8; i++)
                n = n << 8 | p[2 + i];
        }
        if (c->length < h + n)
            return;
        uint32_t mask;
        memcpy(&mask, p + h - 4, 4);
        uint64_t twice = (uint64_t)mask << 32 | mask, v;
        for (i = 0; i + 8 <= n; i += 8)
            memcpy(&v, p + h + i, 8), v ^= twice, memcpy(p + h + i, &v, 8);
        for (; i < n; i++)
            p[h + i] ^= ((uint8_t *)&mask)[i & 3];
        if ((p[0] & 15) == 2)
            publish(c->room, (char *)p + h, n);
        memmove(c->in, c->in + h + n, c->length -= h + n);
    }
}

static void readable(struct connection *c) {
    static char nothing[4096];
    if (c->kind == VIEWER) {
        ssize_t n = recv(c->fd, nothing, sizeof nothing, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            drop(c);
        return;
    }
    if (c->space - c->length < 65536)
        c->in = realloc(c->in, c->space += 131072);
    ssize_t n = recv(c->fd, c->in + c->length, c->space - c->length - 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->length += (size_t)n;
    if (c->kind == HEAD)
        request(c);
    messages(c);
}

static void greet(int listener) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = calloc(1, sizeof *c);
    c->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
}

int main(int count, char **args) {
    if (count != 3)
        return fprintf(stderr, "usage: limit PORT send|sendfile\n"), 2;
    by_sendfile = !strcmp(args[2], "sendfile");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files), files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096))
        return perror("bind"), 1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[1024];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(poller, events, 1024, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                greet(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT && c->kind == VIEWER && c->picture)
                push(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->kind != GONE)
                readable(c);
        }
    }
}
