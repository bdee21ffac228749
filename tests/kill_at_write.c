/* Kills the process at an exact system call that changes a database file. Loaded with LD_PRELOAD by tests/killing.py.

   Calls are counted from `kill_arm` on: writes, truncations, syncs, creations, removals and renames of files below the folder
   whose name has ".db" in it (the databases, their journals and logs; not the lock files). The call numbered `at` is not
   made; with `torn`, half of it is when it is a write. `at` 0 counts and kills nobody. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long at, counted;
static int torn;

void kill_arm(const char *below, long number, int half) {
    snprintf(folder, sizeof folder, "%s", below);
    at = number;
    torn = half;
    counted = 0;
}

long kill_counted(void) { return counted; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int ours(const char *path) {
    return folder[0] && !strncmp(path, folder, strlen(folder)) && strstr(path, ".db") && !strstr(path, ".lock");
}

static int due(const char *path) { return ours(path) && ++counted == at; }

static int due_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return due(path);
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t size) {
    REAL(write);
    if (due_fd(fd)) { if (torn) real(fd, bytes, size / 2); die(); }
    return real(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t place) {
    REAL(pwrite);
    if (due_fd(fd)) { if (torn) real(fd, bytes, size / 2, place); die(); }
    return real(fd, bytes, size, place);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t place) {
    REAL(pwrite64);
    if (due_fd(fd)) { if (torn) real(fd, bytes, size / 2, place); die(); }
    return real(fd, bytes, size, place);
}

#define ON_FD(name, parameters, arguments) \
    int name parameters { REAL(name); if (due_fd(fd)) die(); return real arguments; }

ON_FD(fsync, (int fd), (fd))
ON_FD(fdatasync, (int fd), (fd))
ON_FD(ftruncate, (int fd, off_t size), (fd, size))
ON_FD(ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(fallocate, (int fd, int mode, off_t place, off_t size), (fd, mode, place, size))

int unlink(const char *path) {
    REAL(unlink);
    if (due(path)) die();
    return real(path);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (due(to)) die();
    return real(from, to);
}

#define CREATING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        if ((flags & O_CREAT) && ours(path) && access(path, F_OK) && due(path)) die(); \
        return real(path, flags, mode); \
    }

CREATING(open)
CREATING(open64)
