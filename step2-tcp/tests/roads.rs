//! Which promises of this step the naive version keeps, which it breaks, and why.

use testkit::{Chat, roads};

roads! {
    naive_tcp: Chat::example(2, env!("CARGO_BIN_EXE_step2-tcp"), "naive_tcp"),
    keeps: [
        a_partial_line_is_buffered,
        a_split_character_survives,
        chunk_boundaries_do_not_matter,
        lines_similar_to_exit_do_not_leave,
        a_reset_in_mid_line_causes_one_leave_notice,
        a_port_in_use_and_a_missing_server_are_reported,
        a_second_client_is_refused,
    ],
    keeps_alone: [],
    keeps_slowly: [],
    breaks: [
        invalid_utf8_is_replaced:
            "`lines` fails at bytes that are not UTF-8, and `?` ends the chat.",
        control_characters_are_replaced:
            "`println!` sends the other side's escape sequences to your terminal.",
        crlf_ends_a_line_and_blank_lines_are_ignored:
            "Nothing parses a line, so blank lines are printed.",
        only_lines_over_4096_bytes_are_refused:
            "`lines` has no limit.",
        our_client_refuses_only_lines_over_4096_bytes:
            "`lines` has no limit.",
        an_unterminated_line_ends_the_connection:
            "`lines` collects 100 MiB in memory while it waits for a newline.",
        exit_leaves:
            "The reader ends, but `join` waits for the thread that waits for the keyboard.",
        exit_without_a_line_end_leaves:
            "The reader ends, but `join` waits for the thread that waits for the keyboard.",
        the_last_line_needs_no_line_end:
            "The reader ends, but `join` waits for the thread that waits for the keyboard.",
        a_half_closed_connection_is_drained:
            "The reader ends, but `join` waits for the thread that waits for the keyboard.",
        a_client_ends_when_the_server_ends:
            "The reader ends, but `join` waits for the thread that waits for the keyboard.",
        exit_ends_both_programs:
            "`/exit` ends the thread that read it. The other program waits for its keyboard.",
        a_port_can_be_used_again:
            "`/exit` ends the thread that read it, and leaves the reader blocked in `read`.",
        host_names_and_ipv6_addresses_work:
            "`/exit` ends the thread that read it, and leaves the reader blocked in `read`.",
        a_client_waits_one_second_for_the_goodbye:
            "`/exit` ends the thread that read it, and leaves the reader blocked in `read`.",
        lines_received_after_exit_are_printed:
            "Dropping one of two handles does not close the socket, so the other side gets no EOF.",
        piped_lines_all_arrive:
            "Dropping one of two handles does not close the socket, so the other side gets no EOF.",
        input_that_ends_at_once_is_delivered:
            "Dropping one of two handles does not close the socket, so the other side gets no EOF.",
        lines_typed_before_a_client_connects_are_delivered:
            "Dropping one of two handles does not close the socket, so the other side gets no EOF.",
        exit_ends_a_server_without_a_client:
            "Nothing reads the keyboard while the program is blocked in `accept`.",
        a_closed_stdout_ends_the_client:
            "`println!` panics if stdout is closed.",
        a_lost_connection_is_an_error:
            "If a write is the first to fail, its `unwrap` panics: exit code 101, not 1.",
        a_malformed_address_shows_the_form:
            "`main` prints the `Debug` form of the error, which shows no example.",
        an_unusable_address_reports_the_os_error:
            "`main` prints the `Debug` form of the error, without the address.",
        bad_arguments_exit_with_2:
            "A missing argument is an index out of bounds: a panic, and exit code 101.",
        help_shows_the_default_address:
            "There is no help and no default.",
        telnet_negotiation_is_removed:
            "Telnet's bytes are not UTF-8, so `?` ends the chat.",
    ],
    breaks_slowly: [],
    unstable: [],
}
