/* One row's contributions; included once per vector width: VECTOR, PARTS of it to eight lanes, EXPLAIN, TARGET. */

TARGET static void EXPLAIN(const bedside_trees *model, const float *x, float *result, void *memory) {
    typedef VECTOR lanes[PARTS];
    /* What is known of an edge lies together: arrays of their own would meet at the same places of the cache. */
    typedef struct {
        lanes path, inverse /* 1 / factor */, part, gained, below;
    } known;
    known *at = memory; /* of edge i at place i + 1; before it the root, above which there is nothing */
    lanes *sums = (lanes *)(at + model->longest + 1); /* per output, of a run of trees */
    double *totals = (double *)(sums + model->outputs);

    for (int64_t o = 0; o < model->outputs; o++) {
        totals[o] = 0.0;
        for (int p = 0; p < PARTS; p++) sums[o][p] = (VECTOR){0};
    }
    for (int p = 0; p < PARTS; p++) {
        at[0].path[p] = at[0].inverse[p] = (VECTOR){0} + 1.0f;
        at[0].part[p] = at[0].gained[p] = at[0].below[p] = (VECTOR){0};
    }
    for (int64_t tree = 0; tree < model->trees; tree++) {
        const bedside_edge *edges = model->edges + model->starts[tree];
        const int64_t count = model->starts[tree + 1] - model->starts[tree];
        const int32_t blocks = model->blocks[tree];
        lanes *const mine = sums + model->first[tree];
        const float *rule = model->nodes + (int64_t)blocks * (blocks - 1) / 2 * 3 * LANES;
        for (int32_t block = 0; block < blocks; block++, rule += 3 * LANES) {
            lanes t, rest, weight;
            memcpy(t, rule, sizeof t);
            memcpy(rest, rule + LANES, sizeof rest);
            memcpy(weight, rule + 2 * LANES, sizeof weight);
            /* No branch depends on a tree's shape or on the row: there are too many for a processor to foresee. */
            for (int64_t i = 1; i <= count; i++) {
                const bedside_edge *edge = edges + i - 1;
                const float value = x[edge->feature];
                const int missing = (value != value) & edge->missing;
                const float a = (float)(((value > edge->lower) & (value <= edge->upper)) | missing), b = edge->ratio;
                const known *above = at + edge->parent, *before = at + edge->earlier;
                for (int p = 0; p < PARTS; p++) {
                    const VECTOR factor = b * rest[p] + a * t[p]; /* b + t (a - b), without cancellation */
                    at[i].inverse[p] = 1.0f / factor;
                    at[i].part[p] = (a - b) * at[i].inverse[p];
                    at[i].path[p] = factor * above->path[p] * before->inverse[p];
                    at[i].gained[p] = at[i].part[p] - before->part[p];
                    at[i].below[p] = at[i].path[p] * weight[p] * edge->value;
                }
            }
            for (int64_t i = count; i > 0; i--) {
                const bedside_edge *edge = edges + i - 1;
                for (int p = 0; p < PARTS; p++) {
                    mine[edge->feature][p] += at[i].below[p] * at[i].gained[p];
                    at[edge->parent].below[p] += at[i].below[p];
                }
            }
        }
        /* Sums of float32 are kept short, so that rounding grows with a run of trees, not with the model. */
        if (tree % 32 == 31 || tree == model->trees - 1) {
            for (int64_t o = 0; o < model->outputs; o++) {
                for (int p = 0; p < PARTS; p++) {
                    for (int lane = 0; lane < LANES / PARTS; lane++) totals[o] += (double)sums[o][p][lane];
                    sums[o][p] = (VECTOR){0};
                }
            }
        }
    }
    for (int64_t o = 0; o < model->outputs; o++) result[o] = (float)totals[o];
}

#undef VECTOR
#undef PARTS
#undef EXPLAIN
#undef TARGET
