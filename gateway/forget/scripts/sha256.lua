-- SHA-256 (FIPS 180-4) of a text, hex: Redis itself has only SHA-1, for which colliding texts can be made.
local function sha256(text)
  local band, bxor, ror, rshift, tobit, byte = bit.band, bit.bxor, bit.ror, bit.rshift, bit.tobit, string.byte
  local K = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  }
  local A, B, C, D, E, F, G, H =
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  local padded = text .. '\128' .. string.rep('\0', (55 - #text) % 64) .. '\0\0\0\0'
    .. string.char(rshift(#text, 21) % 256, rshift(#text, 13) % 256, rshift(#text, 5) % 256, #text * 8 % 256)
  local w = {}
  for from = 1, #padded, 64 do
    for at = 1, 16 do
      local a, b, c, d = byte(padded, from + 4 * at - 4, from + 4 * at - 1)
      w[at] = a * 16777216 + b * 65536 + c * 256 + d
    end
    for at = 17, 64 do
      local early, late = w[at - 15], w[at - 2]
      w[at] = tobit(w[at - 16] + bxor(ror(early, 7), ror(early, 18), rshift(early, 3))
        + w[at - 7] + bxor(ror(late, 17), ror(late, 19), rshift(late, 10)))
    end
    local a, b, c, d, e, f, g, h = A, B, C, D, E, F, G, H
    local changed = bxor(b, c)
    for at = 1, 64 do
      -- The choice and the majority with an operation fewer each than in the standard, which says the same.
      local first = h + bxor(ror(e, 6), ror(e, 11), ror(e, 25)) + bxor(g, band(e, bxor(f, g))) + K[at] + w[at]
      local differs = bxor(a, b)
      local second = bxor(ror(a, 2), ror(a, 13), ror(a, 22)) + bxor(b, band(differs, changed))
      changed, h, g, f, e, d, c, b, a = differs, g, f, e, tobit(d + first), c, b, a, tobit(first + second)
    end
    A, B, C, D = tobit(A + a), tobit(B + b), tobit(C + c), tobit(D + d)
    E, F, G, H = tobit(E + e), tobit(F + f), tobit(G + g), tobit(H + h)
  end
  local hex = bit.tohex
  return hex(A) .. hex(B) .. hex(C) .. hex(D) .. hex(E) .. hex(F) .. hex(G) .. hex(H)
end
