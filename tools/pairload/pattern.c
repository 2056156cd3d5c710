#include "pattern.h"

#include <string.h>

#define WORD sizeof(uint64_t)

/* Every bit of the input reaches every bit of the result. */
static uint64_t scramble(uint64_t value)
{
    value = (value ^ value >> 32) * 0xd6e8feb86659fd93u;
    value = (value ^ value >> 32) * 0xd6e8feb86659fd93u;
    return value ^ value >> 32;
}

/* The eight bytes of word `index` of the stream, the first one lowest, on any machine. */
static void make_word(uint64_t key, uint64_t index, unsigned char out[WORD])
{
    uint64_t word = scramble(key + index * 0x9e3779b97f4a7c15u);
    for (unsigned i = 0; i < WORD; i++)
        out[i] = (unsigned char)(word >> 8 * i);
}

uint64_t pattern_key(uint64_t seed, uint64_t number)
{
    return scramble(scramble(seed + 1) ^ number);
}

void pattern_fill(uint64_t key, uint64_t position, void *buf, size_t len)
{
    unsigned char *bytes = buf;
    unsigned char word[WORD];
    while (len > 0) {
        size_t skip = position % WORD;
        size_t part = WORD - skip < len ? WORD - skip : len;
        make_word(key, position / WORD, word);
        memcpy(bytes, word + skip, part);
        bytes += part;
        position += part;
        len -= part;
    }
}

size_t pattern_check(uint64_t key, uint64_t position, const void *buf, size_t len)
{
    const unsigned char *bytes = buf;
    unsigned char word[WORD];
    size_t right = 0;
    while (right < len) {
        size_t skip = (position + right) % WORD;
        size_t part = WORD - skip < len - right ? WORD - skip : len - right;
        make_word(key, (position + right) / WORD, word);
        if (memcmp(bytes + right, word + skip, part) != 0) {
            while (bytes[right] == word[skip]) {
                right++;
                skip++;
            }
            return right;
        }
        right += part;
    }
    return right;
}
