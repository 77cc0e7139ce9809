/* Preloaded into a dev: CLOCK_BOOTTIME runs at another rate in the continuum daemons of the regions that `rates` names, a file
   beside this library: "<seconds since the start of the machine>,<region>=<rate>,…". A process is looked at anew after a fork. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int EVERY = 32; /* calls from one look for the file to the next, until it is there */
static double rate = 1, base = 0;
static pid_t whose = 0;
static int looks = 0;

static void look(const char *region) {
  char path[512], text[256] = "", *at, *is;
  Dl_info self;
  if (!dladdr((void *)look, &self)) return;
  snprintf(path, sizeof path, "%s.rates", self.dli_fname);
  FILE *file = fopen(path, "r");
  if (!file) return;
  if (fgets(text, sizeof text, file)) base = atof(text);
  fclose(file);
  for (at = strtok(text, ","); at; at = strtok(NULL, ","))
    if ((is = strchr(at, '=')) && !strncmp(at, region, is - at) && strlen(region) == (size_t)(is - at)) rate = atof(is + 1);
  snprintf(path, sizeof path, "%s.%s", self.dli_fname, region);
  if (rate != 1 && (file = fopen(path, "w"))) fclose(file); /* so that a test sees whose clock is wrong */
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = syscall(SYS_clock_gettime, clock, now);
  if (failed || clock != CLOCK_BOOTTIME) return failed;
  if (whose != getpid()) whose = getpid(), rate = 1, looks = 0;
  const char *region = getenv("CATALYST_CONTINUUM_REGION");
  if (rate == 1 && region && looks++ % EVERY == 0) look(region);
  if (rate == 1) return 0;
  double told = base + (now->tv_sec + now->tv_nsec / 1e9 - base) * rate;
  now->tv_sec = (time_t)told;
  now->tv_nsec = (long)((told - (double)now->tv_sec) * 1e9);
  return 0;
}
