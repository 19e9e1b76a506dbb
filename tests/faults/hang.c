/* A share that no longer answers: whoever asks for what has `dead` in its name waits for ever.

   Loaded with LD_PRELOAD; signals do not end the waiting, as on a hard mount. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void wait_for_ever_if(int dead) {
    while (dead) pause();
}

#define STAT(name, kind) \
    int name(const char *path, struct kind *facts) { \
        int (*real)(const char *, struct kind *) = dlsym(RTLD_NEXT, #name); \
        wait_for_ever_if(strstr(path, "dead") != NULL); \
        return real(path, facts); \
    }
STAT(lstat, stat) STAT(lstat64, stat64)
