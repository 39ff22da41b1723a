/* load - cameras and viewers for a server under test; one line of JSON says what it delivered.
 *
 * -p PORT  -c CAMERAS (a room each)  -v VIEWERS (spread over the rooms)  -s SLOW viewers of the first room (80 KB/s)
 * -f FPS  -S BYTES of a picture  -w SECONDS of warm-up  -d SECONDS measured  -j SECONDS for joining at most
 * -a APP  -k FILE of lines "room key"  -u PATH of a viewer (%r: room)  -W viewers are WebSockets
 * -X the pictures come from elsewhere  -A all cameras send at the same moment  -b viewers joining at once
 * -n PIECES and -g MS: a picture is sent in so many, so far apart, as by a small device
 * -m viewers that check every byte  -C CPU to run on  -P PID,PID the server's processes
 */
#define FRAME_PATTERN_HERE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct options opt = {.port = 8000, .cameras = 1, .size = 25000, .cpu = -1, .batch = 100, .check_most = 1000, .fps = 15,
                      .pieces = 1, .gap_ms = 6,
                      .warm_s = 1.5, .measure_s = 5, .join_s = 30, .app = "live", .path = "/live/live/%r/mjpeg"};
int poller;
uint64_t window_begin, window_end;

void die(const char *what) {
    perror(what);
    exit(2);
}

int dial(int receive_buffer) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        die("connect");
    return fd;
}

void watch(int op, int fd, uint32_t events, uint64_t tag) {
    struct epoll_event e = {.events = events, .data.u64 = tag};
    epoll_ctl(poller, op, fd, &e);
}

static void parse(int count, char **args) {
    for (int o; (o = getopt(count, args, "p:c:v:s:f:S:w:d:j:a:k:u:b:m:n:g:C:P:WXA")) > 0;) switch (o) {
        case 'p': opt.port = atoi(optarg); break;
        case 'c': opt.cameras = atoi(optarg); break;
        case 'v': opt.viewers = atoi(optarg); break;
        case 's': opt.slow = atoi(optarg); break;
        case 'f': opt.fps = atof(optarg); break;
        case 'S': opt.size = atoi(optarg); break;
        case 'w': opt.warm_s = atof(optarg); break;
        case 'd': opt.measure_s = atof(optarg); break;
        case 'j': opt.join_s = atof(optarg); break;
        case 'a': opt.app = optarg; break;
        case 'k': opt.keys = optarg; break;
        case 'u': opt.path = optarg; break;
        case 'b': opt.batch = atoi(optarg); break;
        case 'm': opt.check_most = atoi(optarg); break;
        case 'n': opt.pieces = atoi(optarg); break;
        case 'g': opt.gap_ms = atof(optarg); break;
        case 'C': opt.cpu = atoi(optarg); break;
        case 'P': opt.pids = optarg; break;
        case 'W': opt.websocket = 1; break;
        case 'X': opt.external = 1; break;
        case 'A': opt.aligned = 1; break;
        default: fprintf(stderr, "the options are at the top of load.c\n"); exit(2);
    }
    if (opt.size < (int)FRAME_HEAD + 2 || opt.size > (int)FRAME_MOST || opt.cameras < 1)
        exit((fprintf(stderr, "impossible size, or no camera\n"), 2));
}

static double percentile(double share) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < AGE_STEPS; i++)
        if ((sum += ages[i]) && (double)sum >= share * (double)tally.ages)
            return (i + 1) * (AGE_STEP_NS / 1e6);
    return 0;
}

int main(int count, char **args) {
    parse(count, args);
    if (opt.cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)opt.cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files), files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    char own[16];
    snprintf(own, sizeof own, "%d", getpid());
    int all = opt.viewers + opt.slow, late = 0, due = 0;
    poller = epoll_create1(EPOLL_CLOEXEC), ages = calloc(AGE_STEPS, sizeof *ages);
    viewers = calloc((size_t)all + 1, sizeof *viewers);
    frame_init(), cameras_open();

    enum { CAMERAS, VIEWERS, WARM, MEASURE, DRAIN } phase = CAMERAS;
    uint64_t began = now_ns(), cameras_at = 0, joined_at = 0, stop = 0, slow_next = 0;
    uint64_t server = 0, generator = 0;
    long rss = 0, peak = 0;
    static struct epoll_event events[512];
    for (;;) {
        uint64_t now = now_ns(), next = now + 20000000ull;
        int ready = cameras_tick(now, &next);
        if (phase == CAMERAS && (ready || (double)(now - began) > opt.join_s * 1e9))
            phase = VIEWERS, cameras_at = now, late |= !ready;
        if (phase == VIEWERS) {
            while (tally.opened < all && tally.opened - tally.alive - tally.dead < opt.batch + opt.slow)
                viewer_open(tally.opened);
            due = (double)(now - cameras_at) > opt.join_s * 1e9;
            if (due || (tally.opened == all && tally.begun + tally.dead >= opt.viewers)) {
                phase = WARM, joined_at = now, late |= due;
                window_begin = now + (uint64_t)(opt.warm_s * 1e9);
                window_end = window_begin + (uint64_t)(opt.measure_s * 1e9);
            }
        } else if (phase == WARM && now >= window_begin) {
            phase = MEASURE, server = cpu_ns(opt.pids), generator = cpu_ns(own);
        } else if (phase == MEASURE && now >= window_end) {
            phase = DRAIN, server = cpu_ns(opt.pids) - server, generator = cpu_ns(own) - generator;
            rss = memory_kb(opt.pids, "VmRSS"), peak = memory_kb(opt.pids, "VmHWM"), stop = now + 1200000000ull;
        } else if (phase == DRAIN && now >= stop) {
            break;
        }
        if (opt.slow && now >= slow_next) {
            slow_next = now + 50000000ull;
            for (int i = opt.viewers; i < tally.opened; i++)
                viewer_event(i, EPOLLIN);
        }
        struct timespec rest = {0, next > now ? (long)(next - now) : 0};
        int n = epoll_pwait2(poller, events, 512, &rest, NULL);
        for (int i = 0; i < n; i++) {
            int id = (int)(uint32_t)events[i].data.u64;
            if (events[i].data.u64 >> 32 == 1)
                camera_event(id, events[i].events);
            else
                viewer_event(id, events[i].events);
        }
    }

    uint64_t sent = 0, skipped = 0, expected = 0, got = 0;
    for (int i = 0; i < opt.cameras; i++) {
        struct camera *c = &cameras[i];
        if (opt.external && c->sent_in_window)
            c->sent_in_window = c->last_in_window - c->first_in_window + 1;
        sent += c->sent_in_window, skipped += c->skipped;
    }
    for (int i = 0; i < opt.viewers; i++)
        expected += cameras[i % opt.cameras].sent_in_window, got += viewers[i].in_window;
    uint64_t frames = opt.viewers ? got : sent;
    printf("{\"cameras\":%d,\"viewers\":%d,\"fps\":%g,\"size\":%d,\"sent\":%llu,\"skipped\":%llu,\"expected\":%llu,"
           "\"got\":%llu,\"bad\":%llu,\"repeated\":%llu,\"dead_cameras\":%d,\"dead_viewers\":%d,\"late\":%d,",
           opt.cameras, opt.viewers, opt.fps, opt.size, (unsigned long long)sent, (unsigned long long)skipped,
           (unsigned long long)expected, (unsigned long long)got, (unsigned long long)tally.bad,
           (unsigned long long)tally.repeated, cameras_dead(), tally.dead, late);
    printf("\"cameras_s\":%.3f,\"join_s\":%.3f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"most_ms\":%.2f,",
           (double)(cameras_at - began) / 1e9, (double)(joined_at - cameras_at) / 1e9, percentile(.5), percentile(.99),
           (double)tally.age_most / 1e6);
    printf("\"server_cpu\":%.4f,\"generator_cpu\":%.4f,\"us_per_frame\":%.3f,\"rss_mb\":%.1f,\"peak_mb\":%.1f,",
           (double)server / 1e9 / opt.measure_s, (double)generator / 1e9 / opt.measure_s,
           frames ? (double)server / 1e3 / (double)frames : 0, (double)rss / 1024, (double)peak / 1024);
    printf("\"window\":[%.3f,%.3f],", (double)window_begin / 1e9, (double)window_end / 1e9);
    printf("\"slow_got\":%llu,\"slow_skipped\":%llu,\"slow_age_ms\":%.0f,\"slow_age_most_ms\":%.0f}\n",
           (unsigned long long)tally.slow_got, (unsigned long long)tally.slow_skipped,
           tally.slow_ages ? tally.slow_age_sum / (double)tally.slow_ages / 1e6 : 0, (double)tally.slow_age_most / 1e6);
    return 0;
}
