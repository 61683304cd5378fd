/* record.c: records what a process does to the files of one directory.
 *
 * Loaded with LD_PRELOAD. Every write, truncation, sync, creation, removal and renaming in the
 * directory $RECORD_DIRECTORY is appended to the file $RECORD_LOG, in the order of execution (a
 * lock covers the call and its record). A test can replay them like a disk that loses power.
 * SQLite's -shm file is left out: it is shared memory and need not survive.
 *
 * A record is: operation and length of the name (32 bits each), offset and length of the
 * data (64 bits each), the name within the directory (empty: the directory), the data.
 */
#define _GNU_SOURCE
/* Both kinds of each function are defined below: none may be an alias of the other. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_length;
static int log_fd = -1;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("RECORD_LOG");
    const char *wanted = getenv("RECORD_DIRECTORY");
    if (!log || !wanted) return;
    log_fd = REAL(open64)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
    directory_length = strlen(wanted);
    directory = wanted;
}

/* The name within the directory, or NULL if it is not recorded. */
static const char *within(const char *path) {
    if (!directory || strncmp(path, directory, directory_length) != 0) return NULL;
    const char *name = path + directory_length;
    if (*name == '\0') return name;
    if (*name != '/') return NULL;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "-shm") == 0) return NULL;
    return name + 1;
}

/* The same for an open file. The kernel appends " (deleted)" to a removed one. */
static const char *name_of(int fd, char *path, size_t size) {
    char link[32];
    if (!directory || fd == log_fd) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length <= 0) return NULL;
    path[length] = '\0';
    if (length > 10 && strcmp(path + length - 10, " (deleted)") == 0) return NULL;
    return within(path);
}

static void record(char operation, const char *name, int64_t offset, const void *data, size_t size) {
    struct { uint32_t operation, name; int64_t offset; uint64_t size; } head =
        { (unsigned char)operation, (uint32_t)strlen(name), offset, size };
    struct iovec parts[3] = {
        { &head, sizeof head }, { (void *)name, head.name }, { (void *)data, size } };
    if (writev(log_fd, parts, 3) != (ssize_t)(sizeof head + head.name + size)) abort();
}

/* Runs `call`, which sets `result`, and on success `note`, which records it. */
#define RECORDED(call, note) do { \
        pthread_mutex_lock(&lock); \
        call; \
        int kept = errno; \
        if (result >= 0) { note; } \
        pthread_mutex_unlock(&lock); \
        errno = kept; \
        return result; \
    } while (0)

static int opened(int at, const char *path, int flags, mode_t mode) {
    struct stat before;
    char found[4096];
    const char *name;
    int is_new, result;
    if (!directory) return REAL(openat64)(at, path, flags, mode);
    RECORDED(
        is_new = (flags & O_CREAT) && fstatat(at, path, &before, 0) != 0;
        result = REAL(openat64)(at, path, flags, mode),
        if ((name = name_of(result, found, sizeof found)) && *name) {
            if (is_new) record('c', name, 0, NULL, 0);
            else if (flags & O_TRUNC) record('t', name, 0, NULL, 0);
        });
}

#define OPEN(function, before, at, extra) \
    int function(before const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return opened(at, path, flags | extra, mode); \
    }
#define COMMA ,
OPEN(open, , AT_FDCWD, 0)
OPEN(open64, , AT_FDCWD, O_LARGEFILE)
OPEN(openat, int at COMMA, at, 0)

#define PWRITE(function, offset_type) \
    ssize_t function(int fd, const void *data, size_t size, offset_type offset) { \
        char path[4096]; \
        ssize_t result; \
        const char *name = name_of(fd, path, sizeof path); \
        if (!name) return REAL(function)(fd, data, size, offset); \
        RECORDED(result = REAL(function)(fd, data, size, offset), \
                 record('w', name, offset, data, (size_t)result)); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    char path[4096];
    ssize_t result;
    const char *name = name_of(fd, path, sizeof path);
    if (!name) return REAL(write)(fd, data, size);
    RECORDED(result = REAL(write)(fd, data, size),
             record('w', name, lseek64(fd, 0, SEEK_CUR) - result, data, (size_t)result));
}

#define TRUNCATE(function, length_type) \
    int function(int fd, length_type length) { \
        char path[4096]; \
        int result; \
        const char *name = name_of(fd, path, sizeof path); \
        if (!name) return REAL(function)(fd, length); \
        RECORDED(result = REAL(function)(fd, length), record('t', name, length, NULL, 0)); \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(function) \
    int function(int fd) { \
        char path[4096]; \
        int result; \
        const char *name = name_of(fd, path, sizeof path); \
        if (!name) return REAL(function)(fd); \
        RECORDED(result = REAL(function)(fd), record('s', name, 0, NULL, 0)); \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    int result;
    const char *name = within(path);
    if (!name) return REAL(unlink)(path);
    RECORDED(result = REAL(unlink)(path), record('u', name, 0, NULL, 0));
}

int rename(const char *from, const char *to) {
    int result;
    const char *name = within(from);
    if (!name) return REAL(rename)(from, to);
    RECORDED(result = REAL(rename)(from, to), record('r', name, 0, to, strlen(to)));
}
