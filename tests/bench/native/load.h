/* What the parts of the load generator share. One thread, one epoll, loopback only. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#define _GNU_SOURCE
#include "frame.h"
#include <stddef.h>
#include <sys/epoll.h>

struct options {
    int port, cameras, viewers, slow, size, cpu, batch, external, websocket, aligned, check_most, pieces;
    double fps, gap_ms, warm_s, measure_s, join_s;
    const char *app, *keys, *path, *pids;
};
extern struct options opt;
extern int poller;
extern uint64_t window_begin, window_end; /* ns; a picture counts if it was sent within */

void die(const char *what);
int dial(int receive_buffer);
void watch(int op, int fd, uint32_t events, uint64_t tag);

/* cameras.c */
struct camera {
    int fd, id, state, wants_room;
    char room[64], key[160];
    uint64_t due_ns, piece_ns;
    uint32_t number, first_in_window, last_in_window;
    uint64_t sent, skipped, sent_in_window;
    uint8_t *out, in[4096], pong[160];
    size_t out_length, out_done, out_now, in_length, pong_length; /* of out_length bytes the first out_now may go */
};
extern struct camera *cameras;
#define CAMERA_TAG(i) (1ull << 32 | (uint32_t)(i))
void cameras_open(void);
int cameras_tick(uint64_t now, uint64_t *next); /* sends what is due; whether all are connected or gone */
void camera_event(int i, uint32_t events);
int cameras_dead(void);

/* viewers.c */
struct viewer {
    int fd, id, state, room, slow, full, chunked, stage, bad;
    char head[1024];
    int head_length;
    uint8_t first[FRAME_HEAD];
    uint32_t length, got; /* of the picture that is being read */
    uint64_t skip;        /* bytes that need not be looked at */
    int opcode;
    struct stamp stamp;
    uint64_t pictures, in_window, last_number;
    char chunk[24];
    int chunk_length, chunk_stage;
    uint64_t chunk_left;
};
struct tally {
    uint64_t bad, repeated, slow_got, slow_skipped, slow_ages, slow_age_most, ages, age_most;
    double slow_age_sum, age_sum;
    int opened, alive, begun, dead;
};
extern struct viewer *viewers;
extern struct tally tally;
#define AGE_STEP_NS 10000u /* a histogram of 10 us steps, up to 4 s */
#define AGE_STEPS 400000u
extern uint32_t *ages;
#define VIEWER_TAG(i) (2ull << 32 | (uint32_t)(i))
void viewer_open(int i);
void viewer_event(int i, uint32_t events);

/* account.c */
uint64_t cpu_ns(const char *pids); /* of all threads of these processes so far */
long memory_kb(const char *pids, const char *field);
#endif
