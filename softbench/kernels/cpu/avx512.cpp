// The kernels for one instruction set; a file of its own, so that builds side by side do not share
// an object. Which set it is the compiler is told.
#include "low_rank.cpp"
