//! Variables that are set to nothing.

/// Returns the value of a flag or its variable, or `None` if it is blank: a blank variable counts as unset.
pub(crate) fn unless_blank<T: AsRef<str>>(value: Option<T>) -> Option<T> {
    value.filter(|value| !value.as_ref().trim().is_empty())
}
