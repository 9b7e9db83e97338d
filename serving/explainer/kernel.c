/* Path-dependent TreeSHAP of sums of trees, by quadrature over all paths of a tree at once.
 *
 * A leaf of value v with the features F on its path gives feature f the Shapley value
 *     v (a_f - b_f) * integral over t in (0, 1) of  prod_{g != f} (b_g + t (a_g - b_g)),
 * where a_f is 1 if the row meets all tests of f on the path, else 0, and b_f is the product of the cover ratios of
 * these tests. Gauss-Legendre nodes integrate the polynomial exactly; eight of them are the lanes of one vector.
 *
 * Leaves share their paths, so the work is done per edge (the way from a split to one of its children), not per leaf
 * and feature. `path` is the product down to an edge; a feature tested again replaces its earlier factor. `below` is
 * the sum of the values under an edge, each times its path. An edge adds  below * (part - part of the earlier test)
 * to its feature, with part = (a - b) / factor. Compare "Linear TreeSHAP" (Yu et al. 2022), which has the same sums
 * over polynomials instead of over nodes.
 *
 * Plain C11 with the vector extension of GCC and Clang; no contraction to fused operations, so that machines agree.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8

/* One edge of a tree, in an order in which a parent stands before its children. Small: a row reads all of them. */
typedef struct {
    int16_t parent;    /* the edge above, counted from 1; 0 is the root */
    int16_t earlier;   /* the nearest edge above that tests the same feature, counted so; 0 if none does */
    uint16_t feature;  /* column of the row */
    uint16_t missing;  /* whether a missing value meets all tests of the feature on the path to here */
    float lower;       /* the tests of the feature on the path to here, merged: lower < x <= upper */
    float upper;
    float ratio;       /* b: product of the cover ratios of these tests */
    float value;       /* of the leaf the edge leads to, 0 if it leads to a split */
} bedside_edge;

/* Trees behind each other; `blocks` of eight quadrature nodes each make a tree's integral exact. */
typedef struct {
    int64_t trees;
    int64_t features;
    int64_t outputs;
    int64_t longest;        /* edges of the largest tree */
    const int64_t *starts;  /* [trees + 1] into edges */
    const int32_t *first;   /* [trees] the output of the tree's target and feature 0 */
    const int32_t *blocks;  /* [trees] */
    const bedside_edge *edges;
    const float *nodes;     /* the rule of n blocks starts at block n (n - 1) / 2; each block is t, 1 - t, weight */
} bedside_trees;

int32_t bedside_explainer_version(void) { return 1; }

typedef float half __attribute__((vector_size(16)));
typedef float full __attribute__((vector_size(32)));

#define VECTOR half
#define PARTS 2
#define EXPLAIN explain_anywhere
#define TARGET
#include "kernel_body.h"

#if defined(__x86_64__)
#define VECTOR full
#define PARTS 1
#define EXPLAIN explain_avx2
#define TARGET __attribute__((target("avx2")))
#include "kernel_body.h"
#endif

/* rows float[n, features] with NaN for missing, contributions float[n, outputs]. 0, or -1 if memory ran out.
 * `narrow` takes vectors of four lanes where the machine has eight: the same bits, for those who want to see it. */
int32_t bedside_explain(const bedside_trees *model, int64_t n, const float *rows, float *contributions, int32_t narrow) {
    size_t arrays = 5 * ((size_t)model->longest + 1) + (size_t)model->outputs;
    size_t bytes = arrays * LANES * sizeof(float) + (size_t)model->outputs * sizeof(double);
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == NULL) return -1;
    for (int64_t row = 0; row < n; row++) {
        const float *x = rows + row * model->features;
        float *result = contributions + row * model->outputs;
#if defined(__x86_64__)
        if (!narrow && __builtin_cpu_supports("avx2")) {
            explain_avx2(model, x, result, memory);
            continue;
        }
#endif
        explain_anywhere(model, x, result, memory);
    }
    (void)narrow;
    free(memory);
    return 0;
}
