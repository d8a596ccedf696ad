//! [`words!`]: closed sets of words.

/// Defines an enum without data, the word of each variant for logs, metrics and rows, and the list
/// of all variants.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $vis enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            #[allow(dead_code, reason = "not every set is walked over")]
            pub(crate) const ALL: [Self; [$($word),*].len()] = [$(Self::$variant,)*];

            /// The value as a short fixed word, for a log field, a metric label or a stored row.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

pub(crate) use words;
