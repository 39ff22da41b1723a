/* The test picture: it looks like a JPEG, and every byte of it follows from (camera, number, length).
 *
 * SOI, APP0, a COM segment that holds our fields, stubs of DHT and SOS, then bytes of a fixed pseudo-random
 * pattern without 0xFF, EOI. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H
#include <stdint.h>
#include <string.h>
#include <time.h>

#define FRAME_HEAD 72u /* bytes before the pattern */
#define FRAME_MOST (512u * 1024u)

extern uint8_t pattern[FRAME_MOST + 65536u]; /* one a program: filled by frame_init */
static const uint8_t jpeg_begin[24] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 0x10, 'J', 'F', 'I', 'F', 0, 1,
                                       1, 0, 0, 1, 0, 1, 0, 0, 0xFF, 0xFE, 0, 0x22};
static const uint8_t jpeg_tables[16] = {0xFF, 0xC4, 0, 4, 0, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0x3F, 0};

struct stamp {
    uint32_t camera, number, length;
    uint64_t sent_ns;
};

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

#ifdef FRAME_PATTERN_HERE
uint8_t pattern[FRAME_MOST + 65536u];
static void frame_init(void) {
    uint64_t x = 88172645463325252ull; /* xorshift64 */
    for (size_t i = 0; i < sizeof pattern; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        pattern[i] = (uint8_t)x == 0xFF ? 0xFE : (uint8_t)x;
    }
}
#endif

static inline const uint8_t *frame_body(const struct stamp *s) {
    return pattern + ((s->camera * 7919u + s->number * 104729u) & 0xFFFFu);
}

static inline uint32_t frame_sum(const struct stamp *s) {
    return s->camera ^ s->number ^ s->length ^ (uint32_t)s->sent_ns ^ (uint32_t)(s->sent_ns >> 32) ^ 0x5bd1e995u;
}

static inline void frame_make(uint8_t *p, const struct stamp *s) {
    uint32_t sum = frame_sum(s);
    memcpy(p, jpeg_begin, 24), memcpy(p + 24, "BENCHJPG", 8);
    memcpy(p + 32, &s->camera, 4), memcpy(p + 36, &s->number, 4), memcpy(p + 40, &s->sent_ns, 8);
    memcpy(p + 48, &s->length, 4), memcpy(p + 52, &sum, 4), memcpy(p + 56, jpeg_tables, 16);
    memcpy(p + FRAME_HEAD, frame_body(s), s->length - FRAME_HEAD - 2);
    p[s->length - 2] = 0xFF, p[s->length - 1] = 0xD9;
}

/* Whether the first FRAME_HEAD bytes are a test picture's; fills the stamp. */
static inline int frame_read(const uint8_t *p, struct stamp *s) {
    uint32_t sum;
    memcpy(&s->camera, p + 32, 4), memcpy(&s->number, p + 36, 4), memcpy(&s->sent_ns, p + 40, 8);
    memcpy(&s->length, p + 48, 4), memcpy(&sum, p + 52, 4);
    return !memcmp(p, jpeg_begin, 24) && !memcmp(p + 24, "BENCHJPG", 8) && !memcmp(p + 56, jpeg_tables, 16) &&
           sum == frame_sum(s);
}
#endif
