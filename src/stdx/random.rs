//! Random names.

/// The alphabet of ids: RFC 4648 base 32 in lower case, which has no `0`, `1`, `8` or `9`
/// to be taken for a letter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Returns `len` random base-32 characters (5 bits each) from the system's generator.
///
/// # Panics
///
/// If the system cannot give random bytes, which no supported system does after boot.
pub fn base32(len: usize) -> String {
    let mut bytes = vec![0u8; len];
    getrandom::fill(&mut bytes).expect("the system's random generator always answers");
    bytes.iter().map(|it| char::from(ALPHABET[usize::from(it & 31)])).collect()
}
