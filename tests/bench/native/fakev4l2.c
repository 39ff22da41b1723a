/* LD_PRELOAD: /dev/video0 as a camera that gives test pictures (camera 0) FAKE_FPS times a second, of FAKE_SIZE bytes.
 *
 * Just as much of V4L2 as ustreamer asks for. */
#define _GNU_SOURCE
#define FRAME_PATTERN_HERE
#include "frame.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define DEVICE "/dev/video0"
#define BUFFER (1u << 20)
static int device = -1, size = 25000, queued, taken, queue[64];
static void *buffers[64];
static uint32_t number;

static int setting(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static int opened(const char *path) {
    if (strcmp(path, DEVICE))
        return -1;
    long period = 1000000000 / setting("FAKE_FPS", 15);
    struct itimerspec every = {{0, period}, {0, period}};
    frame_init();
    size = setting("FAKE_SIZE", size);
    device = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(device, 0, &every, NULL);
    return device;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        int fd = opened(path);                                                                                         \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;                                            \
        va_end(more);                                                                                                  \
        return fd >= 0 ? fd : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);                                   \
    }
OPEN(open)
OPEN(open64)
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open(path, flags); }
int access(const char *path, int mode) { return strcmp(path, DEVICE) ? (int)syscall(SYS_access, path, mode) : 0; }

static void *mapped(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    if (fd != device || fd < 0)
        return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
    void *memory = (void *)syscall(SYS_mmap, NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return buffers[offset / BUFFER] = memory;
}
void *mmap(void *at, size_t n, int p, int f, int fd, off_t o) { return mapped(at, n, p, f, fd, o); }
void *mmap64(void *at, size_t n, int p, int f, int fd, off_t o) { return mapped(at, n, p, f, fd, o); }

static int dequeue(struct v4l2_buffer *b) {
    uint64_t ticks;
    if (taken == queued || read(device, &ticks, 8) != 8) {
        errno = EAGAIN;
        return -1;
    }
    struct stamp s = {0, number, (uint32_t)size, now_ns()};
    b->index = (uint32_t)queue[taken++ & 63], b->bytesused = (uint32_t)size, b->length = BUFFER;
    b->field = V4L2_FIELD_NONE, b->flags = 0, b->sequence = number++;
    b->timestamp.tv_sec = (long)(s.sent_ns / 1000000000u), b->timestamp.tv_usec = (long)(s.sent_ns / 1000u % 1000000u);
    frame_make(buffers[b->index], &s);
    return 0;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    void *argument = va_arg(more, void *);
    va_end(more);
    if (fd != device || fd < 0)
        return (int)syscall(SYS_ioctl, fd, request, argument);
    struct v4l2_buffer *b = argument;
    switch ((unsigned)request) {
    case (unsigned)VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = argument;
        memset(c, 0, sizeof *c), strcpy((char *)c->driver, "fake");
        c->capabilities = c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case (unsigned)VIDIOC_S_FMT:
    case (unsigned)VIDIOC_G_FMT: {
        struct v4l2_format *f = argument;
        f->fmt.pix.pixelformat = V4L2_PIX_FMT_MJPEG, f->fmt.pix.sizeimage = BUFFER, f->fmt.pix.bytesperline = 0;
        return 0;
    }
    case (unsigned)VIDIOC_G_PARM:
    case (unsigned)VIDIOC_S_PARM: {
        struct v4l2_streamparm *p = argument;
        p->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        p->parm.capture.timeperframe.numerator = 1;
        p->parm.capture.timeperframe.denominator = (unsigned)setting("FAKE_FPS", 15);
        return 0;
    }
    case (unsigned)VIDIOC_S_INPUT:
    case (unsigned)VIDIOC_STREAMON:
    case (unsigned)VIDIOC_STREAMOFF:
    case (unsigned)VIDIOC_REQBUFS:
        return 0;
    case (unsigned)VIDIOC_QUERYBUF:
        b->length = BUFFER, b->m.offset = b->index * BUFFER;
        return 0;
    case (unsigned)VIDIOC_QBUF:
        queue[queued++ & 63] = (int)b->index;
        return 0;
    case (unsigned)VIDIOC_DQBUF:
        return dequeue(b);
    default:
        errno = EINVAL;
        return -1;
    }
}
