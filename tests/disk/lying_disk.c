/*
 * A disk that fails and lies, preloaded under SQLite: LD_PRELOAD=lying_disk.so.
 *
 * The library does nothing until lying_disk_arm() names a folder. From then on it notes every write, truncation, removal
 * and sync of that folder's files in a log, injects faults by a seed, and kills its process at a planned operation. The
 * data itself goes to the real files, so the process reads what it wrote. What a power loss would leave is worked out
 * from the log by tests/disk/journal.py. Real syncs are skipped, before it too: they cost time and would prove nothing.
 *
 * SQLite's shared memory (-shm) is not a file on a disk in this sense and is left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 64
#define FDS_MAX 4096
#define NAME_MAX_BYTES 255
#define PATH_MAX_BYTES 4096

/* The kinds of records; tests/disk/journal.py reads them. */
enum { OPENED = 1, WRITTEN, TRUNCATED, REMOVED, SYNCED, NOTED, WRITE_FAILED, WRITE_SHORTENED };
/* What happened to a write or a sync. */
enum { HONEST = 0, LIED = 1, FAILED = 2 };

struct record {
	uint8_t kind, truth;
	uint16_t file;
	uint32_t length;
	uint64_t offset;
} __attribute__((packed));

/* Chances of one operation, in 1/65536. */
struct chances {
	uint32_t sync_fails, sync_lies, write_fails, write_is_short, write_is_dropped;
};

static char folder[PATH_MAX_BYTES];
static size_t folder_length;
static int log_fd = -1;
static uint64_t randomness, operations, dies_at;
static struct chances chances;
static char names[FILES_MAX][NAME_MAX_BYTES + 1];
static int files;
static uint16_t file_of[FDS_MAX];

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static uint64_t draw(void)
{
	randomness ^= randomness >> 12;
	randomness ^= randomness << 25;
	randomness ^= randomness >> 27;
	return (randomness * 2685821657736338717ULL) >> 16;
}
static int happens(uint32_t chance) { return (draw() & 0xffff) < chance; }

static void note(int kind, int truth, int file, uint64_t offset, const void *data, uint32_t length)
{
	struct record head = {(uint8_t)kind, (uint8_t)truth, (uint16_t)file, length, offset};
	struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, data ? length : 0}};
	if (writev(log_fd, parts, 2) < 0)
		raise(SIGABRT);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Return whether the process must die at this operation. */
static int is_last(void) { return ++operations == dies_at; }

static int file_named(const char *path)
{
	size_t length = strlen(path);
	const char *name;
	if (log_fd < 0 || strncmp(path, folder, folder_length) != 0)
		return 0;
	name = path + folder_length;
	if (*name == '\0')
		name = ".";
	else if (*name++ != '/')
		return 0;
	if (length > 4 && strcmp(path + length - 4, "-shm") == 0)
		return 0;
	for (int number = 1; number <= files; number++)
		if (strcmp(names[number], name) == 0)
			return number;
	if (files + 1 >= FILES_MAX || strlen(name) > NAME_MAX_BYTES)
		raise(SIGABRT);
	strcpy(names[++files], name);
	note(OPENED, HONEST, files, 0, name, (uint32_t)strlen(name));
	return files;
}

static int file_at(int fd) { return fd >= 0 && fd < FDS_MAX ? file_of[fd] : 0; }

void lying_disk_arm(const char *path, const char *log, uint64_t seed, uint64_t dies, const struct chances *drawn)
{
	snprintf(folder, sizeof folder, "%s", path);
	folder_length = strlen(folder);
	randomness = seed * 2 + 1;
	dies_at = dies;
	chances = *drawn;
	log_fd = REAL(open64)(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
}

void lying_disk_note(int writer, uint64_t number) { note(NOTED, HONEST, writer, number, NULL, 0); }

int open64(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;
	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	int fd = REAL(open64)(path, flags, mode);
	if (fd >= 0 && fd < FDS_MAX) {
		file_of[fd] = (uint16_t)file_named(path);
		if (file_of[fd] && (flags & O_TRUNC))
			note(TRUNCATED, HONEST, file_of[fd], 0, NULL, 0);
	}
	return fd;
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		file_of[fd] = 0;
	return REAL(close)(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
	int file = file_at(fd);
	if (!file)
		return REAL(pwrite64)(fd, data, length, offset);
	int last = is_last();
	if (last)
		length = draw() % (length + 1);
	else if (happens(chances.write_fails)) {
		note(WRITE_FAILED, FAILED, file, (uint64_t)offset, NULL, 0);
		errno = happens(0x8000) ? EIO : ENOSPC;
		return -1;
	} else if (length > 1 && happens(chances.write_is_short)) {
		length = 1 + draw() % (length - 1);
		note(WRITE_SHORTENED, HONEST, file, (uint64_t)offset, NULL, 0);
	}
	int truth = happens(chances.write_is_dropped) ? LIED : HONEST;
	ssize_t done = REAL(pwrite64)(fd, data, length, offset);
	if (done > 0)
		note(WRITTEN, truth, file, (uint64_t)offset, data, (uint32_t)done);
	if (last)
		die();
	return done;
}

ssize_t write(int fd, const void *data, size_t length)
{
	if (!file_at(fd))
		return REAL(write)(fd, data, length);
	off64_t offset = lseek64(fd, 0, SEEK_CUR);
	ssize_t done = pwrite64(fd, data, length, offset);
	if (done > 0)
		lseek64(fd, offset + done, SEEK_SET);
	return done;
}

int ftruncate64(int fd, off64_t size)
{
	int file = file_at(fd);
	if (file && is_last())
		die();
	int answer = REAL(ftruncate64)(fd, size);
	if (file && answer == 0)
		note(TRUNCATED, HONEST, file, (uint64_t)size, NULL, 0);
	return answer;
}

int unlink(const char *path)
{
	int file = file_named(path);
	if (file && is_last())
		die();
	int answer = REAL(unlink)(path);
	if (file && answer == 0)
		note(REMOVED, HONEST, file, 0, NULL, 0);
	return answer;
}

static int sync_file(int file)
{
	int last = is_last();
	if (last && happens(0x8000))
		die(); /* before it */
	if (!last && happens(chances.sync_fails)) {
		note(SYNCED, FAILED, file, 0, NULL, 0);
		errno = EIO;
		return -1;
	}
	note(SYNCED, happens(chances.sync_lies) ? LIED : HONEST, file, 0, NULL, 0);
	if (last)
		die(); /* after it, before the caller knows */
	return 0;
}

int fsync(int fd) { return file_at(fd) ? sync_file(file_at(fd)) : 0; }
int fdatasync(int fd) { return fsync(fd); }
