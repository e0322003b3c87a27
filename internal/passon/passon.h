#ifndef HULL_PASSON_H
#define HULL_PASSON_H

/* Catches a signal. */
void hull_catch(int sig);

/* Passes on what comes, and what came before, to the process; 0 ends it. */
void hull_pass_to(int pid);

#endif
