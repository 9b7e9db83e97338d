/* One row's contributions; included once per vector width: VECTOR, PARTS of it to eight lanes, EXPLAIN, TARGET. */

TARGET static void EXPLAIN(const bedside_trees *model, const float *x, float *result, void *memory) {
    typedef VECTOR lanes[PARTS];
    lanes *path = memory;
    lanes *inverse = path + model->longest; /* 1 / factor */
    lanes *part = inverse + model->longest;
    lanes *gained = part + model->longest;
    lanes *below = gained + model->longest;
    lanes *sums = below + model->longest;   /* per output, of a run of trees */
    double *totals = (double *)(sums + model->outputs);

    for (int64_t o = 0; o < model->outputs; o++) {
        totals[o] = 0.0;
        for (int p = 0; p < PARTS; p++) sums[o][p] = (VECTOR){0};
    }
    for (int64_t tree = 0; tree < model->trees; tree++) {
        const bedside_edge *edges = model->edges + model->starts[tree];
        const int64_t count = model->starts[tree + 1] - model->starts[tree];
        const int32_t blocks = model->blocks[tree];
        const float *rule = model->nodes + (int64_t)blocks * (blocks - 1) / 2 * 3 * LANES;
        for (int32_t block = 0; block < blocks; block++, rule += 3 * LANES) {
            lanes t, rest, weight;
            memcpy(t, rule, sizeof t);
            memcpy(rest, rule + LANES, sizeof rest);
            memcpy(weight, rule + 2 * LANES, sizeof weight);
            for (int64_t i = 0; i < count; i++) {
                const bedside_edge *edge = edges + i;
                const float value = x[edge->feature];
                const int met = value == value ? (value > edge->lower) & (value <= edge->upper) : edge->missing;
                const float a = (float)met, b = edge->ratio;
                for (int p = 0; p < PARTS; p++) {
                    const VECTOR factor = b * rest[p] + a * t[p]; /* b + t (a - b), without cancellation */
                    inverse[i][p] = 1.0f / factor;
                    part[i][p] = (a - b) * inverse[i][p];
                    VECTOR product = edge->parent < 0 ? factor : factor * path[edge->parent][p];
                    VECTOR gain = part[i][p];
                    if (edge->earlier >= 0) {
                        product *= inverse[edge->earlier][p];
                        gain -= part[edge->earlier][p];
                    }
                    path[i][p] = product;
                    gained[i][p] = gain;
                    below[i][p] = product * weight[p] * edge->value;
                }
            }
            for (int64_t i = count - 1; i >= 0; i--) {
                for (int p = 0; p < PARTS; p++) {
                    sums[edges[i].output][p] += below[i][p] * gained[i][p];
                    if (edges[i].parent >= 0) below[edges[i].parent][p] += below[i][p];
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
