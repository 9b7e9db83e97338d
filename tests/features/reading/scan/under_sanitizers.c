/* Runs scan.c, with the compiler's sanitizers, over the texts in a file, each behind its length in four bytes: searchsets,
   and every second one a request with searchsets in its prefetch. */

#include <stdio.h>
#include <stdlib.h>

#include "scan.c"

enum { SMALL_ROOM = 2048, MOST_MEMBERS = 4 };

int main(int count, char **arguments) {
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    uint32_t length;
    int64_t all = 0, read = 0;
    if (!file) return 2;
    while (fread(&length, sizeof length, 1, file) == 1) {
        const int64_t capacity = length / 320 + 1;
        /* Each piece of memory is just as large as it is said to be, so that a step beyond is seen. */
        char *text = malloc((size_t)length + 1), *keys = malloc(SMALL_ROOM);
        int64_t *head = malloc(HEAD * sizeof *head), *others = malloc((size_t)capacity * 2 * sizeof *others);
        int64_t *columns = malloc((size_t)capacity * COLUMNS * sizeof *columns);
        int64_t *found = malloc(MOST_MEMBERS * MEMBER_COLUMNS * sizeof *found);
        const char *within = all % 2 ? "prefetch" : NULL;
        if (fread(text, 1, length, file) != length) return 2;
        text[length] = 0;
        read += bedside_scan(text, length, within, capacity, MOST_MEMBERS, SMALL_ROOM, head, columns, others, found,
                             keys) == DONE;
        all++;
        free(text), free(keys), free(head), free(others), free(columns), free(found);
    }
    fclose(file);
    printf("%lld of %lld\n", (long long)read, (long long)all);
    return 0;
}
