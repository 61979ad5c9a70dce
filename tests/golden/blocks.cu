// blocks
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_m, Axis_n> Axes_m_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const f32, 2> arg_x;
    Tensor<f32, 1> arg_total;
    Tensor<f32, 1> arg_most;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
blocks(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_n n;
    (void)program;
    Tile<f32, Axes_m> sum;
    Tile<f32, Axes_m> peak;
    each(Axes_m, i) {
        const f32 v1 = 0e0f;
        // let mut sum = zeros::<f32> (m);
        sum[i] = v1;
        const f32 v3 = from_bits(0xff800000u);
        // let mut peak = full::<f32> (m, f32::NEG_INFINITY);
        peak[i] = v3;
    }
    // for n in tile(N)
    const int n_first = 0, n_last = args.dim_N;
    for (int n_at = n_first; n_at < n_last; n_at += Axis_n::step) {
        n.at(n_at, n_last);
        Tile<f32, Axes_m_n> v4;
        load<TW_VECTOR_0>(true, v4, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], n));
        Tile<f32, Axes_m> v5;
        reduce<false>(v5, v4, n, cast<f32>(0.0f), shared + TW_AT_0,
                      [](f32 a, f32 b) { return add(a, b); });
        Tile<f32, Axes_m_n> v9;
        load<TW_VECTOR_0>(true, v9, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], n));
        Tile<f32, Axes_m> v8;
        each(Axes_m, i) {
            const f32 v6 = sum[i];
            const f32 v7 = (v6 + v5[i]);
            // sum += x[(m, n)].sum(n);
            sum[i] = v7;
            v8[i] = peak[i];
        }
        Tile<f32, Axes_m> v10;
        reduce<false>(v10, v9, n, Limits<f32>::lowest(), shared + TW_AT_0,
                      [](f32 a, f32 b) { return max_of(a, b); });
        each(Axes_m, i) {
            const f32 v11 = max_of(v8[i], v10[i]);
            // peak = max(peak, x[(m, n)].max(n));
            peak[i] = v11;
        }
    }
    Tile<f32, Axes_m> v12;
    each(Axes_m, i) v12[i] = sum[i];
    // total[m] = sum;
    store<TW_VECTOR_1>(true, v12, args.arg_total.data, along(args.arg_total.stride[0], m));
    Tile<f32, Axes_m> v13;
    each(Axes_m, i) v13[i] = peak[i];
    // most[m] = peak;
    store<TW_VECTOR_2>(true, v13, args.arg_most.data, along(args.arg_most.stride[0], m));
}
