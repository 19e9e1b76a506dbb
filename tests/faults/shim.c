/* Counts the calls that change a file system for good, and kills at the k-th or lets it fail.

   Loaded with LD_PRELOAD; shim.py has the meaning of the CXR_FAULT_* variables. Acts in the process
   that loaded it first, also after an exec, and never in that process's children.

   Not counted: writes through a memory map (SQLite's WAL index), which no error can reach, and
   changes of owner, which SQLite asks for as root alone: the count must not depend on the user. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILL_BEFORE = -1, KILL_AFTER = -2, SHORT = -3 }; /* an action above 0 is an errno */

static const struct { const char *name; int action; } ACTIONS[] = {
    {"kill-before", KILL_BEFORE}, {"kill-after", KILL_AFTER}, {"short", SHORT},
    {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EACCES", EACCES}, {"EINTR", EINTR},
};

static pid_t acting; /* 0 until the environment is read: nothing counts before */
static const char *under;
static int log_file, action, persistent;
static long first, number;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void read_environment(void) {
    const char *at = getenv("CXR_FAULT_AT"), *from = getenv("CXR_FAULT_FROM");
    const char *wanted = getenv("CXR_FAULT_ACTION");
    char own[32];
    snprintf(own, sizeof own, "%d", getpid());
    setenv("CXR_FAULT_PID", own, 0);
    persistent = from != NULL;
    first = from ? atol(from) : at ? atol(at) : 0;
    for (size_t i = 0; wanted && i < sizeof ACTIONS / sizeof *ACTIONS; i++)
        if (!strcmp(wanted, ACTIONS[i].name)) action = ACTIONS[i].action;
    under = getenv("CXR_FAULT_UNDER");
    log_file = open(getenv("CXR_FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (!under || log_file < 0 || (first > 0) != (action != 0)) abort();
    acting = atoi(getenv("CXR_FAULT_PID"));
}

static int lies_under(const char *path) {
    for (const char *folder = under, *end; *folder; folder = *end ? end + 1 : end) {
        end = strchrnul(folder, ':');
        size_t length = end - folder;
        if (length && !strncmp(path, folder, length) && (!path[length] || path[length] == '/'))
            return 1;
    }
    return 0;
}

/* Both set path, of 2 * PATH_MAX bytes, and say whether the call counts. */
static int by_descriptor(int file, char *path) {
    char link[64];
    if (getpid() != acting) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX);
    path[length < 0 ? 0 : length] = 0;
    return lies_under(path);
}

static int by_name(int folder, const char *name, char *path) {
    char asked[2 * PATH_MAX];
    if (getpid() != acting) return 0;
    if (*name == '/') snprintf(asked, sizeof asked, "%s", name);
    else if (folder == AT_FDCWD) snprintf(asked, sizeof asked, "./%s", name);
    else snprintf(asked, sizeof asked, "/proc/self/fd/%d/%s", folder, name);
    char *last = strrchr(asked, '/');
    *last = 0; /* the name itself may be new, or a link that is to be replaced */
    if (!realpath(*asked ? asked : "/", path)) return 0;
    snprintf(path + strlen(path), PATH_MAX, "/%s", last + 1);
    return lies_under(path);
}

/* Counts a call; returns the error it must fail with, SHORT or 0. One call at a time until leave():
   when the k-th one kills, k - 1 or k are done, whatever other threads are at. */
static int enter(const char *name, const char *path) {
    pthread_mutex_lock(&one_at_a_time);
    number++;
    dprintf(log_file, "%ld %s %s\n", number, name, path);
    int hit = action && (number == first || (persistent && number > first));
    if (action == SHORT && (number == first + 1 || (hit && number > first))) return ENOSPC;
    if (hit && action == KILL_BEFORE) kill(getpid(), SIGKILL);
    return hit && action != KILL_AFTER ? action : 0;
}

static void leave(void) {
    if (action == KILL_AFTER && number == first) kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&one_at_a_time);
}

/* `halved`: what makes SHORT of the arguments and returns 0, or an error where nothing can. */
#define INTERPOSE(type, name, parameters, arguments, counts, halved) \
    type name parameters { \
        static type(*real) parameters; \
        char path[2 * PATH_MAX]; \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (!(counts)) return real arguments; \
        int error = enter(#name, path); \
        if (error == SHORT) error = halved; \
        type result = error ? -1 : real arguments; \
        if (error) errno = error; \
        leave(); \
        return result; \
    }

#define CREATES (flags & (O_CREAT | O_TRUNC))
#define MODE ({ \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = __OPEN_NEEDS_MODE(flags) ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    mode; })
#define OPEN(name) INTERPOSE(int, name, (const char *file, int flags, ...), (file, flags, MODE), \
    CREATES && by_name(AT_FDCWD, file, path), ENOSPC)
#define OPENAT(name) INTERPOSE(int, name, (int folder, const char *file, int flags, ...), \
    (folder, file, flags, MODE), CREATES && by_name(folder, file, path), ENOSPC)
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

#define HALF (size = (size + 1) / 2, 0)
INTERPOSE(ssize_t, write, (int file, const void *data, size_t size), (file, data, size),
          by_descriptor(file, path), HALF)
#define PWRITE(name, offset) INTERPOSE(ssize_t, name, (int file, const void *data, size_t size, \
    offset start), (file, data, size, start), by_descriptor(file, path), HALF)
PWRITE(pwrite, off_t) PWRITE(pwrite64, off64_t)
INTERPOSE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count),
          by_descriptor(file, path), ENOSPC)

#define ON_DESCRIPTOR(name, parameters, arguments) \
    INTERPOSE(int, name, parameters, arguments, by_descriptor(file, path), ENOSPC)
ON_DESCRIPTOR(ftruncate, (int file, off_t size), (file, size))
ON_DESCRIPTOR(ftruncate64, (int file, off64_t size), (file, size))
ON_DESCRIPTOR(fsync, (int file), (file))
ON_DESCRIPTOR(fdatasync, (int file), (file))
ON_DESCRIPTOR(fchmod, (int file, mode_t mode), (file, mode))

#define ON_NAME(name, folder, parameters, arguments) \
    INTERPOSE(int, name, parameters, arguments, by_name(folder, file, path), ENOSPC)
ON_NAME(unlink, AT_FDCWD, (const char *file), (file))
ON_NAME(unlinkat, in, (int in, const char *file, int flags), (in, file, flags))
ON_NAME(mkdir, AT_FDCWD, (const char *file, mode_t mode), (file, mode))
ON_NAME(mkdirat, in, (int in, const char *file, mode_t mode), (in, file, mode))
ON_NAME(rmdir, AT_FDCWD, (const char *file), (file))
ON_NAME(symlink, AT_FDCWD, (const char *target, const char *file), (target, file))
ON_NAME(chmod, AT_FDCWD, (const char *file, mode_t mode), (file, mode))
ON_NAME(fchmodat, in, (int in, const char *file, mode_t mode, int flags), (in, file, mode, flags))

#define MOVES(name, from, to, parameters, arguments) INTERPOSE(int, name, parameters, arguments, \
    by_name(to, new, path) || by_name(from, old, path), ENOSPC)
MOVES(rename, AT_FDCWD, AT_FDCWD, (const char *old, const char *new), (old, new))
MOVES(renameat, from, to, (int from, const char *old, int to, const char *new), (from, old, to, new))
MOVES(renameat2, from, to, (int from, const char *old, int to, const char *new, unsigned flags),
      (from, old, to, new, flags))
