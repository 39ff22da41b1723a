/* CPU time and memory of the server's processes. */
#include "load.h"
#include <stdio.h>
#include <stdlib.h>

/* Of all its threads, also those that have ended. */
static uint64_t process_ns(int pid) {
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
        return 0;
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static long process_kb(int pid, const char *field) {
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, field, strlen(field)))
            kb = atol(line + strlen(field) + 1);
    fclose(f);
    return kb;
}

uint64_t cpu_ns(const char *pids) {
    uint64_t sum = 0;
    for (char *at = (char *)pids; at && *at; at += *at == ',')
        sum += process_ns((int)strtol(at, &at, 10));
    return sum;
}

long memory_kb(const char *pids, const char *field) {
    long sum = 0;
    for (char *at = (char *)pids; at && *at; at += *at == ',')
        sum += process_kb((int)strtol(at, &at, 10), field);
    return sum;
}
