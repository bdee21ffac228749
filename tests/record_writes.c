/* A disk that tells: notes what a process writes below a folder, so that tests/lost_writes.py can say what a power cut would
   have left; and a disk that fills up. Loaded with LD_PRELOAD.

   EVIDENCE_DISK_FOLDER is the folder, EVIDENCE_DISK_LOG the file of notes (none: nothing is noted), EVIDENCE_DISK_ROOM how many
   bytes files may still grow below the folder before every call that makes one longer, or makes one, fails with ENOSPC (unset:
   there is room for all). A note is a line, and for a sync the bytes of the file as they were then:

       create INODE PATH | write INODE OFFSET SIZE\n<bytes> | size INODE SIZE | sync INODE SIZE\n<bytes> | folder PATH
       move FROM\tTO | remove PATH | link TARGET\tPATH | make PATH | say SIZE\n<bytes>

   `say` is what was written to stdout: what was confirmed to the person at that moment. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static const char *folder;
static int notes = -1, limited, started;
static long room;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static ssize_t real_write(int fd, const void *bytes, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, bytes, size);
}

static void start(void) {
    if (started) return;
    started = 1;
    static int (*real)(const char *, int, ...);
    real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    folder = getenv("EVIDENCE_DISK_FOLDER");
    const char *log = getenv("EVIDENCE_DISK_LOG"), *left = getenv("EVIDENCE_DISK_ROOM");
    if (log) notes = real(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (left) { limited = 1; room = atol(left); }
}

static int below(const char *path) {
    size_t length = folder ? strlen(folder) : 0;
    return folder && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* The absolute path of a name, which may be relative to the working directory. */
static const char *absolute(const char *name, char *into) {
    if (name[0] == '/') return name;
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return name;
    int length = snprintf(into, PATH_MAX, "%s/%s", here, name);
    return length > 0 && length < PATH_MAX ? into : name;
}

static int path_of(int fd, char *path) {
    char link[64];
    start();
    if (!folder || fd < 0 || fd == notes) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static void note(const char *format, ...) {
    if (notes < 0) return;
    char line[2 * PATH_MAX + 64];
    va_list more;
    va_start(more, format);
    int length = vsnprintf(line, sizeof line, format, more);
    va_end(more);
    if (real_write(notes, line, (size_t)length) != length) abort();
}

static void note_write(int fd, const void *bytes, off_t place, ssize_t size) {
    struct stat about;
    if (notes < 0 || size <= 0 || fstat(fd, &about)) return;
    note("write %lu %ld %ld\n", about.st_ino, (long)place, (long)size);
    if (real_write(notes, bytes, (size_t)size) != size) abort();
}

static void note_size(int fd, off_t size) {
    struct stat about;
    if (!fstat(fd, &about)) note("size %lu %ld\n", about.st_ino, (long)size);
}

/* Whether a write of so many bytes fits; what does not make a file longer always does. */
static int fits(int fd, off_t end) {
    struct stat about;
    if (!limited || fstat(fd, &about) || !S_ISREG(about.st_mode) || end <= about.st_size) return 1;
    if (end - about.st_size > room) { errno = ENOSPC; return 0; }
    room -= end - about.st_size;
    return 1;
}

static void note_sync(int fd, const char *path) {
    struct stat about;
    if (notes < 0 || fstat(fd, &about)) return;
    if (S_ISDIR(about.st_mode)) { note("folder %s\n", path); return; }
    static int (*real)(const char *, int, ...);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);  /* its own place in the file, and readable */
    int again = real(name, O_RDONLY | O_CLOEXEC);
    if (again < 0) abort();
    char *bytes = malloc((size_t)about.st_size + 1);
    ssize_t got = pread(again, bytes, (size_t)about.st_size, 0);
    close(again);
    note("sync %lu %ld\n", about.st_ino, (long)got);
    if (got && real_write(notes, bytes, (size_t)got) != got) abort();
    free(bytes);
}

#define LOCKED(statement) \
    do { pthread_mutex_lock(&one_at_a_time); statement; pthread_mutex_unlock(&one_at_a_time); } while (0)

ssize_t write(int fd, const void *bytes, size_t size) {
    char path[PATH_MAX];
    start();
    if (fd == 1 && notes >= 0) {
        LOCKED(note("say %lu\n", size); if (real_write(notes, bytes, size) < 0) abort());
    } else if (path_of(fd, path)) {
        off_t place = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
        if (!fits(fd, place + (off_t)size)) return -1;
        ssize_t done = real_write(fd, bytes, size);
        LOCKED(note_write(fd, bytes, place, done));
        return done;
    }
    return real_write(fd, bytes, size);
}

#define PWRITE(name, offset) \
    ssize_t name(int fd, const void *bytes, size_t size, offset place) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd, bytes, size, place); \
        if (!fits(fd, (off_t)(place + (offset)size))) return -1; \
        ssize_t done = real(fd, bytes, size, place); \
        LOCKED(note_write(fd, bytes, (off_t)place, done)); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define LENGTH(name, offset) \
    int name(int fd, offset size) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return real(fd, size); \
        if (!fits(fd, (off_t)size)) return -1; \
        int done = real(fd, size); \
        if (!done) LOCKED(note_size(fd, (off_t)size)); \
        return done; \
    }
LENGTH(ftruncate, off_t)
LENGTH(ftruncate64, off64_t)

#define SENDFILE(name, offset) \
    ssize_t name(int out, int in, offset *place, size_t size) { \
        REAL(name); \
        char path[PATH_MAX]; \
        struct stat about; \
        if (path_of(out, path) && limited && !fstat(in, &about)) { \
            off_t at = place ? (off_t)*place : 0, left = about.st_size - at; \
            if (left < (off_t)size) size = left > 0 ? (size_t)left : 0; \
            if (!fits(out, lseek(out, 0, SEEK_CUR) + (off_t)size)) return -1; \
        } \
        return real(out, in, place, size); \
    }
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

#define SYNC(name) \
    int name(int fd) { \
        REAL(name); \
        char path[PATH_MAX]; \
        if (path_of(fd, path)) LOCKED(note_sync(fd, path)); \
        return real(fd); \
    }
SYNC(fsync)
SYNC(fdatasync)

#define REMOVE(name) \
    int name(const char *path) { \
        REAL(name); \
        char whole[PATH_MAX]; \
        start(); \
        int done = real(path); \
        path = absolute(path, whole); \
        if (!done && below(path)) LOCKED(note("remove %s\n", path)); \
        return done; \
    }
REMOVE(unlink)
REMOVE(rmdir)

int unlinkat(int at, const char *path, int flags) {
    REAL(unlinkat);
    char whole[2 * PATH_MAX], base[PATH_MAX];
    start();
    if (at == AT_FDCWD || path[0] == '/') {
        absolute(path, base);
        snprintf(whole, sizeof whole, "%s", path[0] == '/' ? path : base);
    } else if (path_of(at, base)) {
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    } else {
        whole[0] = 0;
    }
    int done = real(at, path, flags);
    if (!done && below(whole)) LOCKED(note("remove %s\n", whole));
    return done;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    char one[PATH_MAX], other[PATH_MAX];
    start();
    int done = real(from, to);
    from = absolute(from, one);
    to = absolute(to, other);
    if (!done && below(to)) LOCKED(note("move %s\t%s\n", from, to));
    return done;
}

int symlink(const char *target, const char *path) {
    REAL(symlink);
    char whole[PATH_MAX];
    start();
    int done = real(target, path);
    path = absolute(path, whole);
    if (!done && below(path)) LOCKED(note("link %s\t%s\n", target, path));
    return done;
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    char whole[PATH_MAX];
    start();
    const char *place = absolute(path, whole);
    if (below(place) && limited && room <= 0 && access(place, F_OK)) { errno = ENOSPC; return -1; }
    int done = real(path, mode);
    if (!done && below(place)) LOCKED(note("make %s\n", place));
    return done;
}

#define CREATING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        char whole[PATH_MAX]; \
        start(); \
        const char *place = absolute(path, whole); \
        int made = folder && (flags & O_CREAT) && below(place) && access(place, F_OK); \
        if (made && limited && room <= 0) { errno = ENOSPC; return -1; } \
        int fd = real(path, flags, mode); \
        struct stat about; \
        if (made && fd >= 0 && !fstat(fd, &about)) LOCKED(note("create %lu %s\n", about.st_ino, place)); \
        else if (folder && (flags & O_TRUNC) && fd >= 0 && below(place)) LOCKED(note_size(fd, 0)); \
        return fd; \
    }

CREATING(open)
CREATING(open64)
