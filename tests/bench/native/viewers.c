/* Viewers: MJPEG over HTTP, or the viewer WebSocket. Every picture is checked: in full by the first `check_most` and
 * one in 16 of the others; by those the head, the order, the length and the end of it, the rest is thrown away unread. */
#include "load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTING, ANSWERING, RUNNING, DEAD };
enum { PART, BEGIN, BODY, OTHER };
enum { SIZE, DATA, AFTER };
#define GLANCE 512u /* enough for the head of a part and of a picture */
#define BINARY 2
#define PING 9

struct viewer *viewers;
struct tally tally;
uint32_t *ages;
static uint8_t buffer[1 << 18];

static void lost(struct viewer *v, const char *why) {
    if (v->state == DEAD)
        return;
    if (tally.dead++ < 5)
        fprintf(stderr, "viewer %d: %s\n", v->id, why);
    v->state = DEAD;
    close(v->fd);
}

static void whole(struct viewer *v) {
    uint64_t age = now_ns() - v->stamp.sent_ns;
    v->stage = PART, v->head_length = 0;
    if (v->bad) { /* before the first picture a server may show that there is none yet */
        tally.bad += v->pictures > 0;
        return;
    }
    if (!v->pictures++)
        tally.begun++;
    else if (v->stamp.number <= v->last_number)
        tally.repeated++;
    else if (v->slow)
        tally.slow_skipped += v->stamp.number - v->last_number - 1;
    v->last_number = v->stamp.number;
    if (v->slow) {
        tally.slow_got++;
        if (v->stamp.sent_ns >= window_begin) {
            tally.slow_age_sum += (double)age, tally.slow_ages++;
            if (age > tally.slow_age_most)
                tally.slow_age_most = age;
        }
    } else if (v->stamp.sent_ns >= window_begin && v->stamp.sent_ns < window_end) {
        uint64_t step = age / AGE_STEP_NS;
        ages[step < AGE_STEPS ? step : AGE_STEPS - 1]++;
        v->in_window++, tally.ages++, tally.age_sum += (double)age;
        if (age > tally.age_most)
            tally.age_most = age;
        if (opt.external) { /* whoever sends is not us: what was sent is what somebody saw */
            struct camera *c = &cameras[v->room];
            if (!c->sent_in_window || v->stamp.number < c->first_in_window)
                c->first_in_window = v->stamp.number;
            if (!c->sent_in_window || v->stamp.number > c->last_in_window)
                c->last_in_window = v->stamp.number;
            c->sent_in_window = 1;
        }
    }
}

/* The head of a multipart part, or of a WebSocket frame, is complete: is it one? */
static int headed(struct viewer *v) {
    if (opt.websocket) {
        const uint8_t *h = (uint8_t *)v->head;
        int n = h[1] & 127, need = n == 127 ? 10 : n == 126 ? 4 : 2;
        if (v->head_length < need)
            return 0;
        uint64_t length = n < 126 ? (uint64_t)n : 0;
        for (int i = 2; i < need; i++)
            length = length << 8 | h[i];
        v->opcode = h[0] & 15, v->length = (uint32_t)length, v->got = 0;
        v->stage = v->opcode == BINARY ? BEGIN : length ? OTHER : PART;
        v->head_length = 0;
        return 1;
    }
    if (v->head_length < 4 || memcmp(v->head + v->head_length - 4, "\r\n\r\n", 4))
        return 0;
    v->head[v->head_length] = 0;
    char *length = strcasestr(v->head, "content-length:");
    v->length = length ? (uint32_t)strtoul(length + 15, NULL, 10) : 0;
    v->stage = BEGIN, v->got = 0;
    return 1;
}

/* The payload of what is no picture: a state message is skipped, a ping answered (a masked pong without payload). */
static void other(struct viewer *v) {
    static const uint8_t pong[6] = {0x8A, 0x80, 1, 2, 3, 4};
    if (v->opcode == PING && send(v->fd, pong, sizeof pong, MSG_NOSIGNAL) != sizeof pong)
        lost(v, "cannot answer a ping");
    v->stage = PART;
}

static void content(struct viewer *v, const uint8_t *p, size_t n) {
    while (n && v->state == RUNNING) {
        if (v->stage == PART) {
            if (!opt.websocket && !v->head_length && (*p == '\r' || *p == '\n')) {
                p++, n--;
                continue;
            }
            v->head[v->head_length++] = (char)*p++, n--;
            if (v->head_length >= 2 && headed(v)) {
                v->bad = 0;
                if (v->stage == BEGIN && (v->length < FRAME_HEAD + 2 || v->length > FRAME_MOST))
                    lost(v, "a picture of impossible length");
                if (v->stage == PART)
                    other(v);
            } else if (v->head_length > 1000) {
                lost(v, "no end of a part's head");
            }
            continue;
        }
        size_t most = v->stage == BEGIN ? FRAME_HEAD - v->got : v->length - v->got, k = n < most ? n : most;
        if (v->stage == BEGIN) {
            memcpy(v->first + v->got, p, k);
        } else if (v->stage == BODY && !v->bad) {
            uint32_t end = v->length - 2;
            size_t same = v->got < end ? (k < end - v->got ? k : end - v->got) : 0;
            if (memcmp(p, frame_body(&v->stamp) + v->got - FRAME_HEAD, same))
                v->bad = 1;
            for (size_t i = same; i < k; i++)
                v->bad |= p[i] != (v->got + i == end ? 0xFF : 0xD9);
        }
        v->got += (uint32_t)k, p += k, n -= k;
        if (v->stage == BEGIN && v->got == FRAME_HEAD) {
            v->bad = !frame_read(v->first, &v->stamp) || v->stamp.length != v->length ||
                     v->stamp.camera != (uint32_t)v->room;
            v->stage = BODY;
        }
        if (v->got == v->length && v->stage == BODY)
            whole(v);
        else if (v->got == v->length && v->stage == OTHER)
            other(v);
    }
    if (v->state == RUNNING && v->stage == BODY && !v->full && !v->chunked && v->got < v->length - 2)
        v->skip = v->length - 2 - v->got;
}

static void dechunk(struct viewer *v, const uint8_t *p, size_t n) {
    while (n && v->state == RUNNING) {
        if (v->chunk_stage == SIZE) {
            v->chunk[v->chunk_length++] = (char)*p++, n--;
            if (v->chunk_length > 20) {
                lost(v, "no chunk size");
            } else if (v->chunk[v->chunk_length - 1] == '\n') {
                v->chunk[v->chunk_length] = 0;
                v->chunk_left = strtoull(v->chunk, NULL, 16), v->chunk_length = 0, v->chunk_stage = DATA;
                if (!v->chunk_left)
                    lost(v, "the last chunk");
            }
        } else if (v->chunk_stage == DATA) {
            size_t k = v->chunk_left < n ? v->chunk_left : n;
            content(v, p, k);
            p += k, n -= k, v->chunk_left -= k;
            if (!v->chunk_left)
                v->chunk_stage = AFTER, v->chunk_left = 2;
        } else {
            p++, n--;
            if (!--v->chunk_left)
                v->chunk_stage = SIZE;
        }
    }
}

/* The answer's head; how many bytes of p belong to it. */
static size_t answer(struct viewer *v, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        v->head[v->head_length++] = (char)p[i];
        if (v->head_length > 1000) {
            lost(v, "no end of the answer's head");
            return n;
        }
        if (v->head_length < 4 || memcmp(v->head + v->head_length - 4, "\r\n\r\n", 4))
            continue;
        v->head[v->head_length] = 0;
        v->head_length = 0;
        if (memcmp(v->head + 9, opt.websocket ? "101" : "200", 3)) {
            v->head[40] = 0;
            lost(v, v->head);
        } else {
            v->chunked = strcasestr(v->head, "transfer-encoding: chunked") != NULL;
            v->state = RUNNING, tally.alive++;
        }
        return i + 1;
    }
    return n;
}

static void ask(struct viewer *v) {
    char q[700], path[300], *o = path;
    for (const char *s = opt.path; *s && o < path + 200; s++) {
        if (*s == '%' && s[1] == 'r')
            o += sprintf(o, "%s", cameras[v->room].room), s++;
        else
            *o++ = *s;
    }
    *o = 0;
    int n = snprintf(q, sizeof q, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", path, opt.port,
                     opt.websocket ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                   : "");
    if (send(v->fd, q, (size_t)n, MSG_NOSIGNAL) != n) {
        lost(v, "cannot connect");
        return;
    }
    v->state = ANSWERING;
    watch(EPOLL_CTL_MOD, v->fd, v->slow ? 0 : EPOLLIN, VIEWER_TAG(v->id));
}

void viewer_open(int i) {
    struct viewer *v = &viewers[i];
    v->id = i, v->slow = i >= opt.viewers, v->room = v->slow ? 0 : i % opt.cameras;
    v->full = i < opt.check_most || i % 16 == 0 || v->slow;
    v->fd = dial(v->slow ? 16384 : 0), v->state = CONNECTING, tally.opened++;
    watch(EPOLL_CTL_ADD, v->fd, EPOLLOUT, VIEWER_TAG(i));
}

void viewer_event(int i, uint32_t events) {
    struct viewer *v = &viewers[i];
    (void)events;
    if (v->state == CONNECTING)
        ask(v);
    for (int rounds = 0; rounds < 8 && (v->state == ANSWERING || v->state == RUNNING); rounds++) {
        size_t want = v->skip ? (v->skip < sizeof buffer ? v->skip : sizeof buffer)
                      : v->slow ? 4096u : v->full || v->chunked ? sizeof buffer : GLANCE;
        ssize_t n = recv(v->fd, buffer, want, MSG_DONTWAIT | (v->skip ? MSG_TRUNC : 0));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            lost(v, n ? strerror(errno) : "the server closed");
            return;
        }
        if (v->skip) {
            v->skip -= (uint64_t)n, v->got += (uint32_t)n;
        } else {
            size_t used = v->state == ANSWERING ? answer(v, buffer, (size_t)n) : 0;
            if (v->chunked)
                dechunk(v, buffer + used, (size_t)n - used);
            else
                content(v, buffer + used, (size_t)n - used);
        }
        if ((size_t)n < want || v->slow || v->full)
            return; /* read dry, or it is the others' turn */
    }
}
