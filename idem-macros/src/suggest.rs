//! "Did you mean …?"

/// The candidate that `word` was probably meant to be.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min()
        // Half of a word may be wrong; a short word must be closer.
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    closest(word, candidates)
        .map(|candidate| format!("; did you mean \"{candidate}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised_and_other_words_are_not() {
        let names = ["ttl", "scope", "lease", "on_crash"];
        assert_eq!(closest("scpoe", names), Some("scope"));
        assert_eq!(closest("scopes", names), Some("scope"));
        assert_eq!(closest("tll", names), Some("ttl"));
        assert_eq!(closest("oncrash", names), Some("on_crash"));
        assert_eq!(closest("retries", names), None);
        assert_eq!(closest("", names), None);
    }
}
