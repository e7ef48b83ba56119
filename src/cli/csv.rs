//! Comma-separated values, as RFC 4180 has them.

/// Returns a record with the end of its line. A field is quoted where it must be: whatever is in
/// it is read back as it was.
pub fn record<T: AsRef<str>>(fields: impl IntoIterator<Item = T>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|it| field(it.as_ref())).collect();
    format!("{}\r\n", fields.join(","))
}

fn field(text: &str) -> String {
    let plain = !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads one record back, by the grammar and not by what `record` does.
    fn read(text: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let (mut quoted, mut chars) = (false, text.chars().peekable());
        while let Some(c) = chars.next() {
            let last = fields.last_mut().unwrap();
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => last.push(chars.next().unwrap()),
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                '\r' if !quoted => {
                    assert_eq!((chars.next(), chars.next()), (Some('\n'), None));
                    return fields;
                }
                c => last.push(c),
            }
        }
        panic!("the record does not end: {text:?}");
    }

    #[test]
    fn quotes_commas_and_lines_are_quoted() {
        assert_eq!(record(["a", "b c", ""]), "a,b c,\r\n");
        assert_eq!(
            record(["say \"hi\"", "1,2", "two\nlines"]),
            "\"say \"\"hi\"\"\",\"1,2\",\"two\nlines\"\r\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in proptest::collection::vec("[a,\"\r\n é]{0,8}", 1..6)) {
            prop_assert_eq!(read(&record(&fields)), fields);
        }
    }
}
