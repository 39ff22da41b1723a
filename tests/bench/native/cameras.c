/* Cameras: WebSocket clients that send one masked binary message a picture (RFC 6455). */
#include "load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTING, UPGRADING, RUNNING, DEAD };
enum { BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
struct camera *cameras;

static void lost(struct camera *c, const char *why) {
    fprintf(stderr, "camera %d: %s (%s)\n", c->id, why, errno ? strerror(errno) : "");
    c->state = DEAD;
    close(c->fd);
}

static size_t masked(uint8_t *o, int opcode, const uint8_t *data, size_t n, uint32_t mask) {
    size_t h = 2, i = 0;
    uint64_t twice = (uint64_t)mask << 32 | mask;
    o[0] = (uint8_t)(0x80 | opcode);
    if (n < 126) {
        o[1] = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        o[1] = 0x80 | 126, o[2] = (uint8_t)(n >> 8), o[3] = (uint8_t)n, h = 4;
    } else {
        o[1] = 0x80 | 127, h = 10;
        for (int k = 0; k < 8; k++)
            o[2 + k] = (uint8_t)((uint64_t)n >> (56 - 8 * k));
    }
    memcpy(o + h, &mask, 4), h += 4;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, data + i, 8), v ^= twice, memcpy(o + h + i, &v, 8);
    }
    for (; i < n; i++)
        o[h + i] = data[i] ^ ((uint8_t *)&mask)[i & 3];
    return h + n;
}

static void flush(struct camera *c) {
    for (;;) {
        if (c->out_done < c->out_now) {
            ssize_t n = send(c->fd, c->out + c->out_done, c->out_now - c->out_done, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) {
                lost(c, "cannot send");
                return;
            }
            c->out_done += n > 0 ? (size_t)n : 0;
        }
        if (c->out_done < c->out_length)
            break;
        c->out_done = c->out_length = c->out_now = 0;
        if (!c->pong_length)
            break;
        memcpy(c->out, c->pong, c->out_length = c->out_now = c->pong_length), c->pong_length = 0;
    }
    int wants = c->out_done < c->out_now;
    if (wants != c->wants_room) {
        c->wants_room = wants;
        watch(EPOLL_CTL_MOD, c->fd, EPOLLIN | (wants ? EPOLLOUT : 0u), CAMERA_TAG(c->id));
    }
}

static void piece(struct camera *c, uint64_t now) {
    size_t size = c->out_length / (size_t)opt.pieces + 1;
    c->out_now = c->out_now + size < c->out_length ? c->out_now + size : c->out_length;
    c->piece_ns = now + (uint64_t)(opt.gap_ms * 1e6);
    flush(c);
}

static void picture(struct camera *c, uint64_t now) {
    static uint8_t plain[FRAME_MOST];
    struct stamp s = {(uint32_t)c->id, c->number, (uint32_t)opt.size, now};
    if (c->out_length) { /* the one before is not sent yet: the server does not read */
        c->skipped++;
        return;
    }
    frame_make(plain, &s);
    c->out_length = masked(c->out, BINARY, plain, (size_t)opt.size, (uint32_t)(now * 2654435761u) | 1);
    if (now >= window_begin && now < window_end) {
        if (!c->sent_in_window++)
            c->first_in_window = c->number;
        c->last_in_window = c->number;
    }
    c->number++, c->sent++;
    piece(c, now);
}

void cameras_open(void) {
    FILE *keys = opt.keys ? fopen(opt.keys, "r") : NULL;
    cameras = calloc((size_t)opt.cameras + 1, sizeof *cameras);
    for (int i = 0; i < opt.cameras; i++) {
        struct camera *c = &cameras[i];
        c->id = i, c->out = malloc((size_t)opt.size + 64), c->state = DEAD;
        snprintf(c->room, sizeof c->room, "cam%d", i), strcpy(c->key, "wsk_none");
        if (keys && fscanf(keys, "%63s %159s", c->room, c->key) != 2)
            die("the file of keys has too few lines");
        if (!opt.external) {
            c->fd = dial(0), c->state = CONNECTING;
            watch(EPOLL_CTL_ADD, c->fd, EPOLLOUT, CAMERA_TAG(i));
        }
    }
    if (keys)
        fclose(keys);
}

int cameras_tick(uint64_t now, uint64_t *next) {
    uint64_t period = (uint64_t)(1e9 / opt.fps);
    int ready = 1;
    for (int i = 0; i < opt.cameras; i++) {
        struct camera *c = &cameras[i];
        if (c->state == DEAD)
            continue;
        if (c->state != RUNNING) {
            ready = 0;
            continue;
        }
        if (!c->due_ns)
            c->due_ns = now + (opt.aligned ? period - now % period : period * (uint64_t)i / (uint64_t)opt.cameras);
        if (c->due_ns <= now) {
            picture(c, now);
            c->due_ns += period;
            if (c->due_ns <= now) { /* we were late ourselves */
                uint64_t missed = (now - c->due_ns) / period + 1;
                c->skipped += missed, c->due_ns += missed * period;
            }
            now = now_ns();
        }
        if (c->state == RUNNING && c->out_now < c->out_length) {
            if (c->piece_ns <= now)
                piece(c, now);
            if (c->out_now < c->out_length && c->piece_ns < *next)
                *next = c->piece_ns;
        }
        if (c->state == RUNNING && c->due_ns < *next)
            *next = c->due_ns;
    }
    return ready;
}

static void upgrade(struct camera *c) {
    char q[1024];
    /* Each has an address of its own, as behind a proxy: limits per address do not bite. */
    int n = snprintf(q, sizeof q,
                     "GET /ingest/ws?app=%s&room=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                     "Authorization: Bearer %s\r\nX-Forwarded-For: 10.1.%d.%d\r\n\r\n",
                     opt.app, c->room, opt.port, c->key, c->id >> 8, c->id & 255);
    if (send(c->fd, q, (size_t)n, MSG_NOSIGNAL) != n) {
        lost(c, "cannot connect");
        return;
    }
    c->state = UPGRADING;
    watch(EPOLL_CTL_MOD, c->fd, EPOLLIN, CAMERA_TAG(c->id));
}

static void answered(struct camera *c) {
    uint8_t *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end)
        return;
    if (memcmp(c->in + 9, "101", 3)) {
        c->in[40] = 0;
        lost(c, (char *)c->in);
        return;
    }
    size_t used = (size_t)(end + 4 - c->in);
    memmove(c->in, c->in + used, c->in_length -= used);
    c->state = RUNNING;
}

static void words(struct camera *c) {
    while (c->in_length >= 2) {
        size_t h = 2, n = c->in[1] & 127;
        if (n == 126) {
            if (c->in_length < 4)
                return;
            n = (size_t)(c->in[2] << 8 | c->in[3]), h = 4;
        }
        if (c->in_length < h + n)
            return;
        int opcode = c->in[0] & 15;
        if (opcode == PING && n < 126) {
            c->pong_length = masked(c->pong, PONG, c->in + h, n, 0x01020304);
            if (!c->out_length)
                flush(c);
        } else if (opcode == CLOSE) {
            fprintf(stderr, "camera %d: closed with %d %.*s\n", c->id, n >= 2 ? c->in[h] << 8 | c->in[h + 1] : 0,
                    n > 2 ? (int)n - 2 : 0, (char *)c->in + h + 2);
        }
        memmove(c->in, c->in + h + n, c->in_length -= h + n);
    }
}

void camera_event(int i, uint32_t events) {
    struct camera *c = &cameras[i];
    errno = 0;
    if (c->state == CONNECTING && events)
        upgrade(c);
    else if (c->state != DEAD && events & EPOLLOUT)
        flush(c);
    if (c->state == DEAD || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(c->fd, c->in + c->in_length, sizeof c->in - c->in_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        lost(c, "closed by the server");
        return;
    }
    c->in_length += (size_t)n;
    if (c->state == UPGRADING)
        answered(c);
    if (c->state == RUNNING)
        words(c);
}

int cameras_dead(void) {
    int n = 0;
    for (int i = 0; i < opt.cameras; i++)
        n += cameras[i].state == DEAD && !opt.external;
    return n;
}
