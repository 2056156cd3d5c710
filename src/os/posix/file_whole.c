/* file_whole.c - files that are replaced as a whole, and their locks; see os/file.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "os/posix/error.h"

#define TAIL       ".new"
#define DIGITS     16 /* of the random number before it */
#define LOCK_TRIES 8

/* ---- writing ---- */

static enum err write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno != EINTR)
            return error_last();
        if (done > 0) {
            bytes += done;
            len -= (size_t)done;
        }
    }
    /* What is no file on a disk has nothing to be synced. */
    return fsync(fd) == 0 || errno == EINVAL ? ERR_OK : error_last();
}

/* The name of a file in its folder is on the disk only when the folder is. Where folders cannot be
 * synced there is nothing more to do. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str folder;
    str_init(&folder);
    if (slash == NULL)
        str_add(&folder, ".");
    else
        str_add_bytes(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    int fd = folder.failed ? -1 : open(folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    str_free(&folder);
}

static enum err write_in_place(const char *path, const char *bytes, size_t len)
{
    struct stat stat;
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_last();
    enum err err = ERR_INVALID;
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
        err = write_all(fd, bytes, len);
    if (err == ERR_OK && ftruncate(fd, (off_t)len) != 0)
        err = error_last();
    if (close(fd) != 0 && err == ERR_OK)
        err = error_last();
    return err;
}

/* True for what says that no other file can take the place of this one. */
static bool is_fixed(int code)
{
    return code == EBUSY || code == EACCES || code == EPERM || code == EROFS;
}

static enum err write_beside(const char *path, const char *beside, const char *bytes,
                             size_t len)
{
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        int code = errno;
        if (is_fixed(code) && access(path, F_OK) == 0)
            return write_in_place(path, bytes, len);
        return error_from_errno(code);
    }
    enum err err = write_all(fd, bytes, len);
    if (close(fd) != 0 && err == ERR_OK)
        err = error_last();
    if (err == ERR_OK && rename(beside, path) == 0) {
        sync_folder(path);
        return ERR_OK;
    }
    int code = errno;
    (void)unlink(beside);
    if (err != ERR_OK)
        return err;
    return is_fixed(code) ? write_in_place(path, bytes, len) : error_from_errno(code);
}

enum err os_file_write_whole(const char *path, const char *bytes, size_t len)
{
    struct str beside;
    str_init(&beside);
    str_addf(&beside, "%s.%016" PRIx64 TAIL, path, os_random());
    enum err err = beside.failed ? ERR_NOMEM : write_beside(path, beside.data, bytes, len);
    str_free(&beside);
    return err;
}

/* ---- what is left ---- */

static bool is_left_over(const char *name, const char *base, size_t base_len)
{
    return strncmp(name, base, base_len) == 0 && name[base_len] == '.' &&
           strspn(name + base_len + 1, "0123456789abcdef") == DIGITS &&
           strcmp(name + base_len + 1 + DIGITS, TAIL) == 0;
}

void os_file_clean_up(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    struct str folder;
    str_init(&folder);
    str_add_bytes(&folder, path, (size_t)(base - path));
    DIR *dir = folder.failed ? NULL : opendir(slash == NULL ? "." : folder.data);
    if (dir != NULL) {
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
            if (is_left_over(entry->d_name, base, strlen(base)))
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
    }
    str_free(&folder);
}

/* ---- locks ---- */

struct os_file_lock {
    int fd;
    char *path; /* owned; NULL: the lock is on the file itself, which stays */
};

static uint64_t read_holder(int fd)
{
    char text[24];
    uint64_t pid = 0;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return str_parse_u64(text, &pid) == ERR_OK ? pid : 0;
}

static void write_holder(int fd)
{
    char text[24];
    size_t len = str_format(text, sizeof text, "%" PRIu64 "\n", os_process_id());
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, len, 0); /* for messages only */
}

/* ERR_AGAIN: it was the lock of a file that its holder has removed meanwhile. */
static enum err lock_beside(const char *path, int *out, uint64_t *holder)
{
    struct stat ours, named;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_last();
    enum err err = ERR_OK;
    if (fstat(fd, &ours) != 0 || !S_ISREG(ours.st_mode))
        err = ERR_INVALID;
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = errno == EWOULDBLOCK ? ERR_IN_USE : error_last();
    else if (stat(path, &named) != 0 || named.st_ino != ours.st_ino ||
             named.st_dev != ours.st_dev)
        err = ERR_AGAIN;
    if (err == ERR_IN_USE)
        *holder = read_holder(fd);
    if (err != ERR_OK) {
        close(fd);
        return err;
    }
    write_holder(fd);
    *out = fd;
    return ERR_OK;
}

/* In a folder that may not be written to the file is never replaced, so it can be locked itself. */
static enum err lock_itself(const char *path, int *out)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_last();
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum err err = errno == EWOULDBLOCK ? ERR_IN_USE : error_last();
        close(fd);
        return err;
    }
    *out = fd;
    return ERR_OK;
}

enum err os_file_lock(struct os_file_lock **out, const char *path, uint64_t *holder)
{
    struct str beside;
    str_init(&beside);
    str_addf(&beside, "%s.lock", path);
    struct os_file_lock *lock = calloc(1, sizeof *lock);
    enum err err = lock == NULL || beside.failed ? ERR_NOMEM : ERR_AGAIN;
    *holder = 0;
    for (int i = 0; i < LOCK_TRIES && err == ERR_AGAIN; i++)
        err = lock_beside(beside.data, &lock->fd, holder);
    if (err == ERR_OK)
        lock->path = beside.data;
    else
        str_free(&beside);
    if (err == ERR_ACCESS)
        err = lock_itself(path, &lock->fd);
    if (err == ERR_OK)
        *out = lock;
    else
        free(lock);
    return err;
}

void os_file_unlock(struct os_file_lock *lock)
{
    if (lock == NULL)
        return;
    if (lock->path != NULL)
        (void)unlink(lock->path); /* while it is locked, so that nobody else has it */
    close(lock->fd);
    free(lock->path);
    free(lock);
}
