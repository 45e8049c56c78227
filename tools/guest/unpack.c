/* LZ4's legacy format, as `lz4 -l` writes it: a magic number, then blocks with their lengths. */

typedef unsigned char byte;
typedef unsigned long word;

/* In whole words: up to 7 bytes behind the end are written, which what follows overwrites. */
static void copy(byte *to, const byte *from, word count) {
    byte *end = to + count;
    for (; to < end; to += 8, from += 8)
        *(word *)to = *(const word *)from;
}

static word longer(const byte **in, word count) {
    byte more;
    if (count == 15)
        do
            count += more = *(*in)++;
        while (more == 255);
    return count;
}

static byte *block(const byte *in, const byte *end, byte *out) {
    for (;;) {
        byte token = *in++;
        word count = longer(&in, token >> 4);
        copy(out, in, count);
        in += count;
        out += count;
        if (in >= end)
            return out;
        word distance = in[0] | in[1] << 8;
        in += 2;
        count = longer(&in, token & 15) + 4;
        if (distance >= 8)
            copy(out, out - distance, count);
        else
            for (word i = 0; i < count; i++)
                out[i] = out[i - distance];
        out += count;
    }
}

void unpack(const byte *in, word length, byte *out) {
    const byte *end = in + length;
    for (in += 4; in < end;) {
        unsigned size = *(const unsigned *)in;
        out = block(in + 4, in + 4 + size, out);
        in += 4 + size;
    }
}
